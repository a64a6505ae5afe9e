// The public API: save tensors as a tag, load a tag into any sharding.
//
// A *tensor* has a name, a dtype and a global shape. What a process holds of it is a *box* (offsets
// and lengths in elements) in memory of any strides. A save takes any set of boxes that covers
// every tensor; a load fills any set of boxes. How a save was cut does not matter to a load.
//
//   auto store = cairn::Store::open(cairn::posix_fs(), "/data/store");
//   cairn::SaveRequest request;
//   request.tag = "run7/step-1000";
//   request.tensors.push_back({.name = "w", .dtype = cairn::Dtype::kBF16, .shape = {4096, 1024},
//                              .box = cairn::whole_box({4096, 1024}), .data = weights});
//   auto saved = cairn::save(**store, request);
//
// Threads: save and load may run at the same time in any number of threads and processes; each call
// uses worker threads of its own. The memory a request points to must not change during the call.
// Errors: values (base/error.h). Nothing here throws, prints, aborts or exits.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/encodings/byte_run.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/progress_counters.h"
#include "lib/dtype.h"
#include "lib/optimizer_facts.h"
#include "lib/rank_group.h"
#include "lib/staging.h"
#include "lib/tensor.h"
#include "store/checkpoint.h"
#include "store/commit.h"
#include "store/layout.h"
#include "store/locator.h"
#include "store/manifest.h"
#include "store/store.h"

namespace cairn {

/// Of this library: "0.1.0".
std::string_view version();

/// What every long call takes.
struct CallOptions {
  unsigned threads = 0;  ///< workers; 0: as many as this process may use CPUs
  ProgressCounters* progress = nullptr;
  const std::atomic<bool>* stop = nullptr;  ///< when it becomes true the call ends with kCancelled
  std::chrono::milliseconds wait{60000};    ///< for the store's lock
};

/// One box of one tensor in memory.
struct TensorSource {
  std::string name = {};
  Dtype dtype = Dtype::kU8;
  Shape shape = {};            ///< of the whole tensor, in elements
  Box box = {};                ///< what this memory holds of it
  const void* data = nullptr;  ///< the box's first element; any alignment
  /// Per axis, of stored items; empty: row-major, contiguous.
  std::vector<int64_t> strides_bytes = {};
  uint32_t writer = 0;         ///< the rank that holds it, for the layout
  Role role = Role::kNone;     ///< to the optimizer; a tensor's first box decides
  std::string parameter = {};  ///< whose weight, moment, ... it is
  /// In whose memory `data` is; unset: the host's. Boxes on devices do not overlap in part.
  std::optional<uint32_t> device = {};
};

/// Bytes kept beside the tensors, under a name.
struct AttachmentSource {
  std::string name = {};
  ByteSpan bytes = {};
};

/// Asks a store-wide index which chunks are stored somewhere. `found[i]` is set to a copy of
/// wanted[i] where there is one. An error only means that nothing was found.
using LookUp = std::function<Status(const std::vector<Digest>& wanted,
                                    std::vector<std::optional<Copy>>& found)>;

/// What a save makes a tag of: its name and tensors, or parts, at least.
struct SaveRequest {
  std::string tag = {};
  /// Boxes of one tensor may overlap where their bytes agree.
  std::vector<TensorSource> tensors = {};
  std::vector<AttachmentSource> attachments = {};
  std::optional<int64_t> step = {};
  Metadata metadata = {};       ///< given by the user
  Metadata file_metadata = {};  ///< `__metadata__` of safetensors files
  /// The tag to compare with; "none": with nothing; unset: the newest of the tag's prefix.
  std::optional<std::string> base = {};
  IfExists if_exists = IfExists::kError;
  /// Other than 0: zstd of this level on every tensor chunk, and no other encoding.
  int zstd_level = 0;
  Effort effort = Effort::kBalanced;
  /// The tensors as they were saved in the base tag, if the caller still has them: then copies are
  /// made from the base without decoding it from the store. It costs the caller that memory, and
  /// the save a chunk of each thread; what is missing or differs is read from the store. Of tensors
  /// on devices that are there too, on the same one, only what differs crosses over; then the base
  /// must be readable, or the save fails.
  std::vector<TensorSource> base_memory = {};
  /// A tag may take this many times as long to load as one whose chunks stand by themselves.
  double restore_budget = 4;
  /// So many saves on, each the base of the next, one stores weights so that they can be read
  /// without their masters and moments, and the chains of these. 1: every save; 0: none.
  uint32_t weights_every = 20;
  bool pinned = false;  ///< pins the tag; its weights are stored so
  /// Names of parts (lib/save_part.h) that this save unites: what they hold is its tensors, and
  /// `tensors` is empty. All were compared with one tag, or none; `base` unset: with that one.
  std::vector<std::string> parts = {};
  OptimizerFacts optimizer = {};  ///< what is known of the step, to predict state from
  /// What the caller has found odd about the state: told and kept like the save's own warnings.
  std::vector<std::string> warnings = {};
  LookUp look_up = {};  ///< optional
  /// Nothing writes to the tensors until the call returns, or, to those on devices, until the
  /// fence. Else chunks that are stored are copied and digested once more, and a tensor that has
  /// changed in between makes the save fail.
  bool are_still = false;
  /// Called when all bytes were read, before the tag is made visible; an error ends the save. For
  /// sources that can tell whether they have changed meanwhile, like files: are_still may be set.
  std::function<Status()> check_sources = {};
  DeviceChoices devices = {};  ///< for tensors on devices
  /// Of save_part(): the ranks that store parts of the tag. What several of them hold is stored by
  /// one; where it differs, the result has a warning. Null: each stores all that it holds.
  const RankGroup* group = nullptr;
  /// Called once, from a thread of the call, as soon as no byte of a tensor is read any more: they
  /// may change then, or go; with are_still, those on devices. Not called when the call fails
  /// before. It must not call what uses the same Staging.
  std::function<void()> fence = {};
  CallOptions call = {};
};

/// What a save has done.
struct SaveResult {
  std::string tag = {};
  Digest manifest;
  TagFacts facts;  ///< logical_bytes == facts.new_bytes + reused_bytes
  uint64_t reused_bytes = 0;
  std::string base;            ///< the tag compared with; empty without one
  bool already_there = false;  ///< IfExists::kSame met the same manifest
  /// The tag to compare with of which something, or all, could not be read; empty: nothing of it.
  std::string damaged_base = {};
  uint64_t unread_chunks = 0;  ///< of that tag; what differs there was stored whole. 0: all
  /// What is odd about the state that was saved, no error; kept in the tag's metadata too
  /// (`cairn.warnings`, lib/tripwires.h).
  std::vector<std::string> warnings = {};
  std::vector<std::string> notes = {};  ///< about how it was done, like a device without room
  uint64_t brought_bytes = 0;           ///< that came from devices to the host
  double elapsed_s = 0;
};

/// Saves the boxes as one tag: all of it or nothing. Every tensor must be covered exactly; holes,
/// overlaps that disagree, and mismatched dtypes or shapes fail before anything is written.
/// Errors: kUsage (the request; names tensors and boxes), kExists, kNoSpace, kBusy, kCancelled, ...
/// Memory beside the caller's tensors: about 40 MiB a thread (chunks as they are, as they were in
/// the base, and encoded), and about 400 bytes a chunk (a million chunks of the default size are a
/// terabyte of bf16).
Result<SaveResult> save(const Store& store, const SaveRequest& request);

/// One box of one tensor to be filled.
struct TensorTarget {
  std::string name = {};     ///< as the caller calls it; LoadRequest::rename maps it
  Dtype dtype = Dtype::kU8;  ///< when it is not the stored one, elements are converted
  Shape shape = {};          ///< of the whole tensor, in elements
  Box box = {};
  void* data = nullptr;                     ///< the box's first element
  std::vector<int64_t> strides_bytes = {};  ///< as in TensorSource
  std::optional<uint32_t> device = {};      ///< as in TensorSource
};

/// How the names asked for differ from those stored.
struct LoadReport {
  std::vector<std::string> missing;     ///< asked for, not stored
  std::vector<std::string> unexpected;  ///< stored, not asked for
  std::vector<std::string> mismatched;  ///< "name: stored F32 [2, 3], asked for F32 [3, 2]"
  bool ok(bool strict) const {
    return missing.empty() && mismatched.empty() && (!strict || unexpected.empty());
  }
};

/// A regular expression (ECMAScript) and what it becomes; applied to stored names, in order.
struct Rename {
  std::string pattern, replacement;
};

/// The boxes to fill, which may be any of any tensors, and how names and dtypes may differ.
struct LoadRequest {
  std::vector<TensorTarget> targets = {};
  std::vector<Rename> rename = {};
  bool strict = false;  ///< stored tensors that are not asked for are an error
  bool cast = false;    ///< allow dtypes to differ
  DeviceChoices devices = {};
  CallOptions call = {};
};

/// What a load has done.
struct LoadResult {
  uint64_t bytes = 0;                   ///< written into targets
  uint64_t read_bytes = 0;              ///< read from packs
  uint64_t chunks = 0;                  ///< each read once
  uint64_t sent_bytes = 0;              ///< of chunks, from the host to devices
  std::vector<std::string> notes = {};  ///< as in SaveResult
  double elapsed_s = 0;
};

/// The name after all renames. Errors: kUsage for a pattern that is no regular expression.
Result<std::string> apply_renames(std::string name, const std::vector<Rename>& renames);

/// Compares the request with the checkpoint; reads no tensor byte.
Result<LoadReport> compare_names(const Checkpoint& checkpoint, const LoadRequest& request);

/// Fills the targets from the checkpoint; every byte handed out was checked against its digest.
/// Errors: kUsage with the LoadReport in words (before any byte is read), kCorrupt naming tag,
/// tensor, pack and offset, kCancelled, ... On an error targets are unspecified.
/// Memory beside the targets: less than 200 MiB, and 30 MiB a thread where chunks are made from
/// others, whatever the checkpoint's size.
Result<LoadResult> load(Checkpoint& checkpoint, const LoadRequest& request);

/// The bytes of an attachment, in order, in parts of at most a few MiB, each checked first.
Status read_attachment(Checkpoint& checkpoint, std::string_view name,
                       const std::function<Status(ByteSpan)>& sink);

}  // namespace cairn
