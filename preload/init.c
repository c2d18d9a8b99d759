/* SPDX-License-Identifier: MIT */
/* Start and end of the shim in a process; what it knows about the process. */
#include "shim.h"

#include "childenv.h"
#include "rawcall.h"
#include "statsfile.h"

#include <linux/kcmp.h>
#include <string.h>
#include <sys/syscall.h>

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

/* Exec'd with more descriptors than this, the higher ones are not looked at. */
#define MAX_INHERITED 1024

atomic_bool shim_has_objects;

/* Which process this is: zero again in a child that fork made. */
struct process_page {
	atomic_int pid;           /* [a] 0: not yet known */
	atomic_flag is_flushing;  /* [a] one thread adds at a time */
	struct pf_stats flushed;  /* [is_flushing] already in the file */
};

static struct process_page *process;      /* [I] after the constructor */
static struct pf_statsfile *stats_file;   /* [I] NULL: nobody asked */

static pid_t raw_getpid(void)
{
	return (pid_t)RAW(SYS_getpid);
}

int shim_adopt(int fd)
{
	int saved = errno;

	/* A refused one may have left the process' files and traps behind. */
	if (fd < 0 || pf_is_userfaultfd(fd))
		atomic_store(&shim_has_objects, true);
	errno = saved;
	return fd;
}

bool shim_in_foreign_child(void)
{
	pid_t self = raw_getpid();
	int owner;

	if (!process)
		return false;
	owner = atomic_load(&process->pid);
	if (owner == 0)
		shim_forget_stats();
	if (owner == 0 || owner == self)
		return false;
	/* A child by clone(CLONE_VM | CLONE_FILES) is as good as a thread. */
	return RAW(SYS_kcmp, self, owner, KCMP_FILES) != 0;
}

const sigset_t *shim_strip_mask(const sigset_t *mask, sigset_t *copy)
{
	if (!mask)
		return NULL;
	if (!sigismember(mask, SIGSEGV) && !sigismember(mask, SIGBUS))
		return mask;
	*copy = *mask;
	sigdelset(copy, SIGSEGV);
	sigdelset(copy, SIGBUS);
	return copy;
}

static void add_word(size_t i, uint64_t now, uint64_t before)
{
	uint64_t *word = &stats_file->words[i];
	uint64_t seen;

	if (i != PF_STATSFILE_PEAK) {
		/* Counters that began anew count from zero. */
		__atomic_fetch_add(word, now >= before ? now - before : now,
				   __ATOMIC_RELAXED);
		return;
	}
	seen = __atomic_load_n(word, __ATOMIC_RELAXED);
	while (seen < now &&
	       !__atomic_compare_exchange_n(word, &seen, now, false,
					    __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED))
		;
}

void shim_flush_stats(void)
{
	uint64_t now[PF_STATSFILE_WORDS], before[PF_STATSFILE_WORDS];
	struct pf_stats stats;
	int saved = errno;

	if (!stats_file || !process || shim_in_foreign_child())
		return;
	if (atomic_flag_test_and_set(&process->is_flushing))
		return;
	pf_read_stats(&stats);
	memcpy(now, &stats, sizeof(now));
	memcpy(before, &process->flushed, sizeof(before));
	for (size_t i = 0; i < PF_STATSFILE_WORDS; i++)
		add_word(i, now[i], before[i]);
	process->flushed = stats;
	atomic_flag_clear(&process->is_flushing);
	errno = saved;
}

void shim_forget_stats(void)
{
	if (!process)
		return;
	atomic_store(&process->pid, raw_getpid());
	pf_read_stats(&process->flushed);
	atomic_flag_clear(&process->is_flushing);
}

static void open_stats_file(const char *path)
{
	uint64_t magic, none = 0;
	struct stat info;
	void *at;
	int fd;

	fd = next()->open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	at = MAP_FAILED;
	if (next()->fstat(fd, &info) == 0 &&
	    (info.st_size >= (off_t)sizeof(struct pf_statsfile) ||
	     ftruncate(fd, sizeof(struct pf_statsfile)) == 0))
		at = next()->mmap(NULL, sizeof(struct pf_statsfile),
				  PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	next()->close(fd);
	if (at == MAP_FAILED)
		return;
	memcpy(&magic, PF_STATSFILE_MAGIC, sizeof(magic));
	if (!__atomic_compare_exchange_n((uint64_t *)at, &none, magic, false,
					 __ATOMIC_RELAXED, __ATOMIC_RELAXED) &&
	    none != magic) {
		next()->munmap(at, sizeof(struct pf_statsfile));
		return;
	}
	stats_file = at;
}

/* Descriptors that came over exec: sockets may be objects of ours. */
static void adopt_inherited(void)
{
	struct stat info;
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir)) != NULL) {
		int fd = atoi(entry->d_name);

		if (fd >= MAX_INHERITED || entry->d_name[0] == '.')
			continue;
		if (next()->fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode) &&
		    pf_note_received(fd))
			shim_adopt(fd);
	}
	closedir(dir);
}

static void make_process_page(void)
{
	void *page = next()->mmap(NULL, SHIM_PAGE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return;
	(void)next()->madvise(page, SHIM_PAGE, MADV_WIPEONFORK);
	process = page;
	atomic_store(&process->pid, raw_getpid());
}

__attribute__((constructor)) static void start(void)
{
	const char *path = getenv("POLYFAULT_STATS");
	int saved = errno;

	make_process_page();
	childenv_remember();
	if (path && path[0])
		open_stats_file(path);
	adopt_inherited();
	(void)pthread_atfork(NULL, NULL, shim_forget_stats);
	errno = saved;
}

__attribute__((destructor)) static void finish(void)
{
	shim_flush_stats();
}

SHIM void _exit(int status)
{
	shim_flush_stats();
	next()->_exit(status);
	__builtin_unreachable();
}

SHIM_ALIAS(_Exit, _exit);

SHIM void quick_exit(int status)
{
	shim_flush_stats();
	next()->quick_exit(status);
	__builtin_unreachable();
}
