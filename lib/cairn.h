/* The C ABI of libcairn: what other languages link.
 *
 * Every call returns a status: 0, or the number with which the program `cairn` exits for the same
 * reason (docs/cli/cairn.md). What went wrong is told by cairn_error_message() and
 * cairn_error_hint() of the same thread. Nothing here prints, throws, aborts or exits.
 *
 * Growth: structs begin with their size as the caller compiled them; arrays say the size of their
 * elements. Fields are only added at the end, and a field that is all zeros means its default, so
 * callers set a struct to zeros, then struct_bytes, then what they need. cairn_abi() is raised when
 * something else changes.
 *
 * Threads: any, also several calls on one handle, but a handle is closed by one, when no call is
 * under way. Text is UTF-8 and ends with a zero; what a call gives as `char **` is freed by
 * cairn_free(). What a struct points to is borrowed for the call, and must not change meanwhile.
 * After a fork a child uses no handle of its parent's, and need not close one. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What this header describes; cairn_abi() of the library must say the same. */
#define CAIRN_ABI 1u

/* The CAIRN_ABI that the library was built with. */
uint32_t cairn_abi(void);
/* The library's version: "0.1.0". */
const char* cairn_version_text(void);

/* What calls return: 0, or the number of an error. */
typedef int32_t cairn_status;

/* Exit statuses of the program too; docs/cli/cairn.md says what each means. */
#define CAIRN_OK 0
#define CAIRN_FAILED 1
#define CAIRN_USAGE 2
#define CAIRN_PARTIAL 3
#define CAIRN_AUTH 4
#define CAIRN_NO_STORE 10
#define CAIRN_BUSY 11
#define CAIRN_CORRUPT 12
#define CAIRN_NO_SPACE 13
#define CAIRN_NEWER_FORMAT 14
#define CAIRN_NOT_FOUND 15
#define CAIRN_EXISTS 16
#define CAIRN_UNREACHABLE 17
#define CAIRN_PROTECTED 18
#define CAIRN_CANCELLED 130

/* Of the latest call of this thread that did not return CAIRN_OK; valid until its next call. The
 * hint says what to do next; it may be "". */
const char* cairn_error_message(void);
const char* cairn_error_hint(void);

/* Frees text that a call has given. Null is fine. */
void cairn_free(char* text);

/* --- Stores */

/* An open store. */
typedef struct cairn_store cairn_store;

/* Makes an empty store in a folder that does not exist or is empty, or at s3://bucket/prefix.
 * CAIRN_EXISTS, CAIRN_FAILED where the file system or the bucket does not do what Cairn needs. */
cairn_status cairn_init(const char* folder);
/* A folder, or a URL: https://host/path to be read, s3://bucket/prefix. CAIRN_NO_STORE,
 * CAIRN_NEWER_FORMAT, CAIRN_CORRUPT; of a URL CAIRN_UNREACHABLE and CAIRN_AUTH too. */
cairn_status cairn_open(const char* folder, cairn_store** store);
/* Null is fine. Checkpoints that were opened from it stay usable. */
void cairn_close(cairn_store* store);

/* --- Watching a call */

/* Lets other threads see how far a call has come, and stop it. */
typedef struct cairn_watch cairn_watch;

/* How far a call has come. */
typedef struct cairn_progress {
  size_t struct_bytes;
  uint64_t total_bytes; /* 0: not known yet */
  uint64_t done_bytes;
  uint64_t new_bytes; /* of done_bytes, those that had to be written */
} cairn_progress;

/* Freed when no call uses it any more. Null is fine. */
cairn_status cairn_watch_new(cairn_watch** watch);
void cairn_watch_free(cairn_watch* watch);
/* The call ends with CAIRN_CANCELLED as soon as it can; nothing is half done. */
void cairn_watch_stop(cairn_watch* watch);
void cairn_watch_read(const cairn_watch* watch, cairn_progress* progress);
/* From now on this watch can stop calls of this thread that are given none, those that open a store
 * or a tag and wait for a server above all. Not for calls that put something in order when they are
 * stopped, as saves to a bucket do: that would be stopped too. Call it with null before the watch
 * is freed. */
void cairn_watch_thread(cairn_watch* watch);

/* --- Devices */

/* How many devices the library reads and fills tensors on: 0 where there are none, and where it was
 * built without kernels. */
cairn_status cairn_devices(uint32_t* count);

/* What calls with tensors on devices work with; kept from call to call, for as long as the training
 * lives. One call at a time uses it; another one waits. */
typedef struct cairn_staging cairn_staging;

/* Fields of 0 mean their defaults. */
typedef struct cairn_staging_options {
  size_t struct_bytes;
  uint64_t pinned_bytes; /* of the host's memory, 512 MiB: slabs that wait for the disk; a save that
                            has more to store waits for it, and its fence too */
  uint64_t slab_bytes;   /* what travels at a time, 32 MiB */
  uint64_t device_bytes; /* of each device's memory, 256 MiB, or 4 slabs where these are more */
  uint32_t multiprocessors; /* of each device, at most; 0: all */
} cairn_staging_options;

/* A queue of a device on which the caller has enqueued what makes, or still reads, its tensors. */
typedef struct cairn_stream {
  void* handle;    /* a cudaStream_t; null: the device's default stream */
  uint32_t device; /* CUDA's number */
} cairn_stream;

/* CAIRN_FAILED where there is no device, or the library was built without kernels; CAIRN_USAGE. */
cairn_status cairn_staging_new(const cairn_staging_options* options, cairn_staging** staging);
/* Memory of a device (CUDA's number) to work with instead of some that the staging allocates; it
 * must live until other memory is lent, or the staging is freed. 0 bytes: no longer. */
cairn_status cairn_staging_lend(cairn_staging* staging, uint32_t device, void* memory,
                                size_t bytes);
/* No call uses it any more. Null is fine. */
void cairn_staging_free(cairn_staging* staging);

/* --- Ranks that save together */

/* What a call of a group is told, and what it tells. */
typedef struct cairn_group_wait {
  size_t struct_bytes;
  uint64_t timeout_ms;
  uint8_t* missing;     /* for each rank: 1 where it is known that it did not come; zeros */
  char* message;        /* why it failed; ends with a zero */
  size_t message_bytes; /* room for it */
} cairn_group_wait;

/* What the functions of a group answer. */
#define CAIRN_GROUP_DONE 0
#define CAIRN_GROUP_TIMED_OUT 1 /* a rank was not there in time */
#define CAIRN_GROUP_FAILED 2

/* The ranks of a job that make one call at the same time, and how they reach each other: over the
 * group that the job has on its CPUs (Gloo, MPI, ...), lent as two functions, or over NCCL.
 * Borrowed for the call. The functions come back within the time-out, whatever happens, and let no
 * exception out. They are called in the same order on all ranks, by one thread at a time, which
 * need not be the caller's: what needs a lock of the caller's language takes it. When a rank fails,
 * the call fails on all with its error; CAIRN_UNREACHABLE names those that did not come. */
typedef struct cairn_group {
  size_t struct_bytes;
  uint32_t rank, size;
  double timeout_s; /* of each call; 0: 300 */
  void* context;    /* handed to both */
  /* `all` becomes `bytes` bytes of each rank, in their order. */
  int32_t (*all_gather)(void* context, const void* own, size_t bytes, void* all,
                        cairn_group_wait* wait);
  /* `data` becomes that of `root`, where it is read. */
  int32_t (*broadcast)(void* context, void* data, size_t bytes, uint32_t root,
                       cairn_group_wait* wait);
  /* An ncclComm_t that takes the functions' place, which nothing else uses meanwhile, on this
   * device and stream (a cudaStream_t). The request has a staging then. Where the functions are
   * lent too, ranks meet there when one does not come, so that it can be named. Null: none. */
  void* nccl_comm;
  cairn_stream nccl_stream;
  /* Of loads, 0 or 1, the same on all ranks: they make an ncclComm_t for this load, each on the
   * device of nccl_stream, whose handle is not used. Both functions are lent then. Where a rank
   * cannot (no NCCL, no staging, a device that another rank has too), what several want is passed
   * on over the functions, and the result has a note that says why. */
  int32_t makes_nccl;
  /* May be null. Asked now and then while ranks wait for each other on their devices:
   * CAIRN_GROUP_DONE where the wait may go on; else the call ends with what it answers. It does not
   * wait. */
  int32_t (*look)(void* context, cairn_group_wait* wait);
} cairn_group;

/* --- Saving */

/* One box of one tensor in memory: what a save reads, or a load fills. */
typedef struct cairn_tensor {
  const char* name;
  const char* dtype;            /* as in safetensors files: "F32", "BF16", ... */
  uint32_t rank;                /* axes; 0 to 16 */
  uint32_t writer;              /* saves: the rank that holds it */
  const uint64_t* shape;        /* rank lengths of the whole tensor, in elements */
  const uint64_t* offsets;      /* of the box; null: all 0 */
  const uint64_t* lengths;      /* of the box; null: those of the shape */
  const int64_t* strides_bytes; /* null: row-major, contiguous */
  void* data;                   /* the box's first element, any alignment; saves only read it */
  const char* role;             /* saves: "weight", "master", "exp_avg", ...; null: by its name */
  const char* parameter;        /* saves: whose; null: its own name */
  uint32_t device;              /* whose memory `data` is: 0: the host's; else 1 + CUDA's number */
} cairn_tensor;

/* Bytes kept beside the tensors, under a name. */
typedef struct cairn_attachment {
  const char* name;
  const void* data;
  size_t bytes;
} cairn_attachment;

/* Of metadata: a name and its text. Of renames: a pattern and what it becomes. */
typedef struct cairn_pair {
  const char *key, *value;
} cairn_pair;

/* What a save makes a tag of: its name and tensors, or parts, at least. */
typedef struct cairn_save_request {
  size_t struct_bytes;
  const char* tag;
  const cairn_tensor* tensors;
  size_t tensor_count, tensor_bytes; /* tensor_bytes: sizeof(cairn_tensor) */
  const cairn_attachment* attachments;
  size_t attachment_count, attachment_bytes;
  const cairn_pair* metadata;
  size_t metadata_count;
  int64_t step;
  int32_t has_step;
  int32_t pinned;
  const char* base;      /* a tag or "none"; null: the newest of the tag's prefix */
  const char* if_exists; /* "error" (null), "same", "replace" */
  const char* effort;    /* "balanced" (null), "fast", "small" */
  /* The JSON of a roles file (docs/cli/import.md), "auto" (null) or "none". */
  const char* roles;
  double restore_budget; /* 0: the default */
  int32_t weights_every; /* 0: the default; -1: none */
  uint32_t threads;      /* 0: as many as this process may use CPUs */
  double wait_s;         /* for the store's lock; 0: 60 s */
  cairn_watch* watch;    /* may be null */
  /* The tensors as the base tag has them, if they are still in memory: what the tag is made from
   * need not be read from the store then. Elements are of tensor_bytes. */
  const cairn_tensor* base_memory;
  size_t base_memory_count;
  /* Names of parts that cairn_save() unites: they hold all tensors, so `tensors` is empty. `base`
   * null: that of the parts. */
  const char* const* parts;
  size_t part_count;
  /* What the caller has found odd about the state: told and kept like the save's own warnings. */
  const char* const* warnings;
  size_t warning_count;
  /* Of cairn_part_meet(): what only the processes of one job say. Parts of others are passed over,
   * also when they save the same tag. Null: nothing. */
  const char* job;
  /* Not 0: nothing writes to the tensors before the call returns, or, to those on devices, before
   * the fence. Else what is stored is copied and digested once more, and a chunk that has changed
   * in between makes the save fail. */
  int32_t still;
  /* For tensors on devices. The call begins when what was enqueued on `streams` before is done; for
   * a device that is not among them: on its default stream. None may be capturing a graph. */
  cairn_staging* staging;
  const cairn_stream* streams;
  size_t stream_count, stream_bytes; /* stream_bytes: sizeof(cairn_stream) */
  /* Called once, from a thread of the call, as soon as no byte of a tensor is read any more: they
   * may change then, or go; with `still`, those on devices. Not called when the call fails before.
   * It must not call what uses the same staging. May be null. */
  void (*fence)(void* context);
  void* fence_context;
  /* Of cairn_save_part(): the ranks that store parts of the tag, all in this call at the same time.
   * What several of them hold is stored by one, equal bytes by each; where it differs, the tag gets
   * what most have, and a warning. Null: each stores all that it holds. */
  const cairn_group* group;
} cairn_save_request;

/* Saves the boxes as one tag: all of it or nothing. `result`: the JSON of `cairn import --json`.
 * CAIRN_USAGE naming tensors and boxes, CAIRN_EXISTS, CAIRN_NO_SPACE, CAIRN_BUSY, ... */
cairn_status cairn_save(cairn_store* store, const cairn_save_request* request, char** result);

/* Whether a save would take the name; CAIRN_USAGE if not. */
cairn_status cairn_check_tag(const char* tag);

/* --- Saving by several processes */

/* What one process has stored of a tag. It protects its files until it is ended, so it must live
 * until cairn_save() has united all parts, in whichever process. One thread at a time.
 * In order: one asks cairn_base_of() and tells the others; each calls cairn_save_part() and tells
 * one of them cairn_part_name(); that one calls cairn_save() with these names as `parts` and
 * without tensors; when it has returned each calls cairn_part_end(). */
typedef struct cairn_part cairn_part;

/* The tag that a save of `tag` compares with unless it is told: the newest of the same prefix, or
 * "none". For `base` of all processes that save one tag together. Free `name` by cairn_free(). */
cairn_status cairn_base_of(cairn_store* store, const char* tag, char** name);

/* Stores the boxes and attachments; no tag refers to them yet. Boxes need not cover their tensors,
 * and no two overlap; `writer` tells the rank. The same tag, step and base in all processes;
 * metadata, pin and if_exists are said by the one that unites. `parts` is empty. Errors: as
 * cairn_save(). */
cairn_status cairn_save_part(cairn_store* store, const cairn_save_request* request,
                             cairn_part** part);
/* A short text for cairn_save_request.parts of the process that makes the tag; valid until the part
 * is ended. Boxes that several parts have are replicas: the first part's count; where they differ
 * the result has "warnings". */
const char* cairn_part_name(const cairn_part* part);
/* What the caller should know, such as that a device had no room: a JSON list of texts. A save that
 * makes a tag has them as "notes" of its result, when there are any. */
cairn_status cairn_part_notes(const cairn_part* part, char** notes);
/* Where the processes do not talk: waits until all `ranks` have stored their parts of the tag, and
 * whichever comes last has united them. `request`: as of the part, without tensors and attachments.
 * `result`: as of cairn_save(). CAIRN_UNREACHABLE names the ranks that did not come within
 * `longest_s`; what the tag could not be made for is told to all ranks. The part is still to be
 * ended, with `remove` 0. */
cairn_status cairn_part_meet(cairn_store* store, cairn_part* part,
                             const cairn_save_request* request, uint32_t rank, uint32_t ranks,
                             double longest_s, char** result);
/* `remove`: nobody has tried to make the tag, nor will: the files go at once. Else what no tag
 * needs is gc's to find, which is right whatever has happened. Null is fine. */
void cairn_part_end(cairn_part* part, int32_t remove);

/* --- Comparing without saving */

/* Which bytes of a box are looked at: one stretch of it, another one at each turn; over many turns,
 * whatever their distances, all. */
typedef struct cairn_sampling {
  size_t struct_bytes;
  uint64_t bytes; /* of a stretch; 0: all of the box */
  uint64_t turn;  /* such as the step */
} cairn_sampling;

/* Digests boxes in the host's memory: `digests` gets 32 bytes for each, of the bytes that are
 * looked at, in row-major order, whatever the strides. `sampling` null: all. CAIRN_USAGE naming the
 * tensor. */
cairn_status cairn_digest(const cairn_tensor* tensors, size_t count, size_t tensor_bytes,
                          const cairn_sampling* sampling, uint32_t threads, cairn_watch* watch,
                          uint8_t* digests);
/* The part of a tensor's box that cairn_digest() looks at, in the tensor's coordinates: `rank`
 * offsets and lengths. `data` is not read. */
cairn_status cairn_sampled_box(const cairn_tensor* tensor, size_t tensor_bytes,
                               const cairn_sampling* sampling, uint64_t* offsets,
                               uint64_t* lengths);

/* --- Copying */

/* One range of memory, and where it goes. */
typedef struct cairn_move {
  void* target;
  const void* source;
  size_t bytes;
} cairn_move;

/* Copies ranges of memory that do not overlap, in `threads` threads (0: as many as this process may
 * use CPUs), at about twice the speed of memcpy() where the ranges are larger than the caches: for
 * snapshots of a state. move_bytes: sizeof(cairn_move). */
cairn_status cairn_copy(const cairn_move* moves, size_t count, size_t move_bytes, uint32_t threads);

/* --- Copies that follow a state */

/* What one copy of some tensors, in the host's memory, holds: digests of its chunks. An update
 * compares them with what the tensors are, where these lie, so that only what has changed crosses
 * over from devices. */
typedef struct cairn_mirror cairn_mirror;

/* The tensors, and where the copy of each lies. */
typedef struct cairn_mirror_request {
  size_t struct_bytes;
  const cairn_tensor* tensors;
  size_t tensor_count, tensor_bytes; /* tensor_bytes: sizeof(cairn_tensor) */
  /* For each tensor, memory of the host that its box goes to, row-major; no two overlap. */
  void* const* copies;
  uint32_t threads;   /* 0: as many as this process may use CPUs */
  cairn_watch* watch; /* may be null */
  /* As for saves. When the call returns it reads no tensor any more. */
  cairn_staging* staging;
  const cairn_stream* streams;
  size_t stream_count, stream_bytes;
} cairn_mirror_request;

/* Knows nothing of the copy yet. One call at a time uses it; another one waits. */
cairn_status cairn_mirror_new(cairn_mirror** mirror);
/* Makes the copy what the tensors are. Of a first update, and when names, dtypes, shapes, devices
 * or the places of the copy are not those of the update before, all crosses over. What lies in the
 * host's memory, and small tensors, are copied each time. Nothing else writes to the tensors during
 * the call, nor to the copy from its first update on. `result`: {"bytes", "brought_bytes" from
 * devices, "elapsed_s"}, and "notes", such as that a device had no room, where there are any; may
 * be null. CAIRN_USAGE naming the tensor, CAIRN_FAILED, CAIRN_NO_SPACE, CAIRN_CANCELLED: then the
 * copy may be of before and after, and the next update makes it right. */
cairn_status cairn_mirror_update(cairn_mirror* mirror, const cairn_mirror_request* request,
                                 char** result);
/* The copy is the caller's, and stays. Null is fine. */
void cairn_mirror_free(cairn_mirror* mirror);

/* --- Loading */

/* A tag that is open for reading. */
typedef struct cairn_checkpoint cairn_checkpoint;

/* A tag by its name, or `PREFIX/@newest`. CAIRN_NOT_FOUND. */
cairn_status cairn_checkpoint_open(cairn_store* store, const char* tag,
                                   cairn_checkpoint** checkpoint);
void cairn_checkpoint_close(cairn_checkpoint* checkpoint);

/* {"tag", "manifest", "step", "metadata": {}, "tensors": [{"name", "dtype", "shape"}],
 *  "attachments": [{"name", "bytes"}]} */
cairn_status cairn_checkpoint_describe(cairn_checkpoint* checkpoint, char** description);

/* Fills `data` with the attachment's `bytes` (as the description says). CAIRN_NOT_FOUND,
 * CAIRN_USAGE when it has another size, CAIRN_CORRUPT. */
cairn_status cairn_checkpoint_attachment(cairn_checkpoint* checkpoint, const char* name, void* data,
                                         size_t bytes);

/* The boxes to fill, which may be any of any tensors, and how names and dtypes may differ. */
typedef struct cairn_load_request {
  size_t struct_bytes;
  const cairn_tensor* targets;
  size_t target_count, target_bytes; /* target_bytes: sizeof(cairn_tensor) */
  /* Regular expressions (ECMAScript) and what they become; applied to stored names, in order. */
  const cairn_pair* renames;
  size_t rename_count;
  int32_t strict; /* stored tensors that are not asked for are an error */
  int32_t cast;   /* dtypes may differ: elements are converted */
  uint32_t threads;
  cairn_watch* watch; /* may be null */
  /* For targets on devices, as for saves. When the call returns they are filled, for all streams.
   */
  cairn_staging* staging;
  const cairn_stream* streams;
  size_t stream_count, stream_bytes;
  /* Ranks that load the same tag, all in this call at the same time, each with its own targets:
   * what several want is read by one and passed on, over the group's functions, which both are
   * needed then, or over its communicator, from device to device. What is told is of this rank.
   * Null: it reads all for itself. */
  const cairn_group* group;
} cairn_load_request;

/* Fills the targets; every byte was checked against its digest. `result`: {"bytes", "read_bytes",
 * "chunks", "sent_bytes" (of chunks, to devices), "elapsed_s"}; may be null. CAIRN_USAGE with all
 * names that do not fit, before any byte is read; CAIRN_CORRUPT naming tag, tensor, pack and
 * offset. On an error targets are unspecified. */
cairn_status cairn_load(cairn_checkpoint* checkpoint, const cairn_load_request* request,
                        char** result);

#ifdef __cplusplus
}
#endif
