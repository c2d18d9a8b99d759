/* SPDX-License-Identifier: MIT */
/* What the files of this room share: the one host mmu and its helpers. */
#ifndef HOST_STATE_H
#define HOST_STATE_H

#include "base/sync.h"
#include "mmu/host/host.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

struct host_runs;
struct host_staging;

struct host {
	struct mmu mmu;            /* [I] must be first */
	struct host_means means;   /* [I] */
	struct host_choice choice; /* [I] */
	int mem_fd;                /* [I] /proc/self/mem, or -1 */
	int pagemap_fd;            /* [I] or -1 */
	int maps_fd;               /* [I] for PROCMAP_QUERY, or -1 */
	struct host_runs *runs;    /* [I] protect: runs opened */
	struct host_staging *staging; /* [I] move: pages under way */
};

static inline struct host *host_of(struct mmu *mmu)
{
	return (struct host *)(void *)mmu;
}

/* Whether missing pages trap by a guard marker. */
static inline bool host_is_guarding(const struct host *h)
{
	return h->choice.revoke == HOST_GUARD;
}

/* ---- raw mapping calls ---- */

/* As mprotect(2), madvise(2). Context: trap. Returns: 0; -errno. */
int host_mprotect(struct range r, unsigned prot);
int host_advise(struct range r, int advice);

/* A file opened out of the program's way. Returns: a number; -errno. */
int host_open_file(const char *path, int flags);

/* ---- crowd.c ---- */

/* The means to see a crowd are there. Context: may sleep. */
void crowd_open(void);

/* ---- maps.c ---- */

/* The mapping that contains va. Returns: 0; -ENOENT; -EIO. */
int host_query(struct host *h, va_t va, struct mmu_mapping *out);
int host_survey(struct mmu *mmu, struct range r, mmu_visit_fn visit,
		void *arg);

/* Whether PROCMAP_QUERY works here. */
bool host_can_query(void);

/* ---- smaps.c ---- */

/* Whether the kernel knows MAP_DROPPABLE; whether the mapping of va is such. */
bool host_has_droppable(void);
bool host_is_droppable(va_t va);

/* ---- pagemap.c ---- */

/*
 * `visit` was called for each run of pages that all hold bytes, or guards, or
 * nothing, rising, until it returned non-zero. It may change what is at or
 * below its run. Pages that nobody may change meanwhile.
 * Returns: 0; what visit returned; -EIO.
 */
typedef int (*host_run_fn)(void *arg, struct range run, enum mmu_held held);
int host_each_run(struct host *h, struct range r, host_run_fn visit,
		  void *arg);

/* Whether the page holds a guard; false when it cannot be known. */
bool host_page_is_guard(struct host *h, va_t va);

/* ---- runs.c: runs opened under strategy protect ---- */

/* Nothing is open / all is forgotten. Returns: 0 and *out; -ENOMEM. */
int runs_create(uint64_t max_map_count, struct host_runs **out) must_check;
void runs_destroy(struct host_runs *runs);
/* The run is accessible now; others may have been closed to make room. */
void runs_opened(struct host_runs *runs, struct range r);
/* The range is not to be touched any more. */
void runs_forget(struct host_runs *runs, struct range r);

/* ---- reveal.c: revoke, release, protect, refresh ---- */

/* Every page of the range is empty and guarded. Returns: 0; -ENOMEM. */
int host_install_guards(struct range r);

/* What mmu_ops promises of the verbs of these names. */
bool host_is_ours(struct mmu *mmu, struct range r);
int host_revoke_pages(struct mmu *mmu, struct range r, unsigned prot);
void host_release(struct mmu *mmu, struct range r, unsigned prot);
void host_release_guards(struct mmu *mmu, struct range r, unsigned prot);
int host_refresh(struct mmu *mmu, va_t va, unsigned prot, unsigned access);
int host_protect_pages(struct mmu *mmu, struct range r, unsigned prot);
void host_forget(struct mmu *mmu, struct range r);
/* The pages of the range, closed before, are open with `prot`. */
void host_open(struct host *h, struct range r, unsigned prot);

/* ---- provide.c ---- */

/* Returns: 0 and *out; -ENOMEM. The others: as mmu_ops promises. */
int staging_create(struct host_staging **out) must_check;
void staging_destroy(struct host_staging *staging);
int64_t host_provide(struct mmu *mmu, const struct mmu_fill *f);
void host_publish_pages(struct mmu *mmu, const struct mmu_fill *f);
void host_retract(struct mmu *mmu, const struct mmu_fill *f);

/* ---- adopt.c ---- */

/* As mmu_ops promises of adopt. */
int host_adopt(struct mmu *mmu, const struct mmu_mapping *m, struct range r,
	       mmu_found_fn found, void *arg);

/* When the last window in which good accesses were refused was closed. */
uint64_t host_last_window_ns(void);
void host_window_closes(void);

#endif /* HOST_STATE_H */
