// What each command takes, as plain values after parsing and checking. A `declare` beside each
// struct lists its flags; defaults are the members' initial values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/encodings/byte_run.h"
#include "base/parse.h"
#include "cli/flags.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "lib/formats/export_files.h"
#include "lib/retention.h"
#include "lib/transfer/share.h"
#include "store/commit.h"

namespace cairn {

/// How remotes are spoken to.
struct RemoteFlags {
  uint64_t retry_for_s = 30;  ///< without progress, of one request
};

/// Accepted by every command, before or after its name.
struct GlobalOptions {
  std::string store;  ///< folder or URL; "" when none was named
  JsonMode json = JsonMode::kNone;
  bool quiet = false;
  int verbosity = 0;
  ProgressMode progress = ProgressMode::kAuto;
  RemoteFlags remote;
  bool help = false;
};

struct InitOptions {
  std::string folder;  ///< "" when left out: then the store that --store names
  std::optional<uint64_t> chunk_elements;
  std::optional<uint64_t> pack_bytes;
};

struct ImportOptions {
  std::string tag;
  std::vector<std::string> paths;  ///< one or more
  std::vector<KeyValue> metadata;
  std::vector<KeyValue> attachments;  ///< name and file
  bool allow_pickle = false;
  std::string layout;  ///< a file; "" without
  std::optional<uint64_t> step;
  std::string base;  ///< a tag, "none", or "" for the newest of the same prefix
  IfExists if_exists = IfExists::kError;
  std::string roles = "auto";  ///< a file, "auto" or "none"
  Effort effort = Effort::kBalanced;
  double restore_budget = 4;
  bool weights_direct = false;
  uint32_t weights_every = 20;
  bool pin = false;
  uint64_t wait_s = 60;
};

struct ExportOptions {
  std::string tag;
  std::string path;
  std::optional<ExportFormat> format;  ///< unset: what `path` ends in says it
  std::vector<std::string> tensors;    ///< globs; empty: all
  std::string dtype;                   ///< "" keeps each tensor's own
  std::vector<KeyValue> renames;       ///< regular expression and replacement
  uint64_t shard_bytes_max = 5'000'000'000;
  bool force = false;
};

enum class LsSort : uint8_t { kNewest, kOldest, kName, kStep, kSize, kNew };

struct LsOptions {
  std::string pattern;  ///< glob; "" matches all
  LsSort sort = LsSort::kNewest;
  std::optional<uint64_t> limit;
  bool exclusive = false;
};

struct ShowOptions {
  std::string tag;
  std::vector<std::string> tensors;  ///< globs; empty: all
  bool layout = false;
};

struct DiffOptions {
  std::string a;
  std::string b;
  std::vector<std::string> tensors;  ///< globs; empty: all
  bool elements = false;
  bool exit_code = false;
};

struct CatOptions {
  std::string tag;
  std::string name;
  std::optional<std::vector<AxisRange>> box;
  bool attachment = false;  ///< NAME is an attachment, though a tensor may have the name too
};

struct StatsOptions {};

struct ReportOptions {
  std::string output;   ///< the file to write; required
  std::string pattern;  ///< glob; "" matches all
  bool force = false;
};

struct TagOptions {
  std::string new_tag;
  std::string tag;
  uint64_t wait_s = 60;
};

struct PinOptions {
  std::vector<std::string> tags;  ///< one or more
  uint64_t wait_s = 60;
};

struct UnpinOptions : PinOptions {};

struct ForgetOptions {
  std::vector<std::string> tags;  ///< empty: by the policy
  RetentionPolicy policy;
  bool allow_newest = false;
  bool allow_pinned = false;
  std::vector<std::string> drop;  ///< globs: take these tensors out of the tags instead
  bool gc = false;                ///< collect afterwards
  bool dry_run = false;
  bool yes = false;
  uint64_t wait_s = 60;
};

struct GcOptions {
  uint64_t max_repack_bytes = UINT64_MAX;
  double min_dead_percent = 10;
  std::optional<uint64_t> reader_grace_s;
  bool rebase = false;
  bool dry_run = false;
  bool yes = false;
  uint64_t wait_s = 60;
};

struct TransferOptions {
  std::string url;                ///< of the other store
  std::vector<std::string> tags;  ///< empty: `all`
  bool all = false;
  unsigned connections = 32;
  std::optional<uint64_t> rate;  ///< bytes a second
  uint64_t memory_bytes = kGiB;
  std::vector<std::string> tensors;  ///< globs; empty: all. With `as`
  std::string as;                    ///< the name of the part; "" without
  std::optional<Share> share;        ///< of a pull
  bool rebase = false;
  bool dry_run = false;
  IfExists if_exists = IfExists::kSame;
  uint64_t wait_s = 60;
};

struct PushOptions : TransferOptions {};

struct PullOptions : TransferOptions {};

struct RemoteTestOptions {
  std::string what;  ///< "test"
  std::string url;
  bool read_only = false;
};

struct CheckOptions {
  std::vector<std::string> tags;            ///< empty: all
  std::optional<double> read_data_percent;  ///< absent: data is not read
  std::optional<uint64_t> time_limit_s;
  bool resume = false;  ///< go on where the last one with a time limit ended
};

struct RepairOptions {
  std::string what;                         ///< "index" or "tags"
  std::optional<double> read_data_percent;  ///< absent: data is not read
  bool dry_run = false;
  bool yes = false;
  uint64_t wait_s = 60;
};

struct CompletionOptions {
  std::string shell;
};

struct CompleteOptions {
  std::vector<std::string> words;
};

struct VersionOptions {};

struct IndexOptions {};

struct HelpOptions {
  std::string command;  ///< "" for the overview
};

void declare(FlagSet& flags, GlobalOptions& options);
void declare(FlagSet& flags, InitOptions& options);
void declare(FlagSet& flags, ImportOptions& options);
void declare(FlagSet& flags, ExportOptions& options);
void declare(FlagSet& flags, LsOptions& options);
void declare(FlagSet& flags, ShowOptions& options);
void declare(FlagSet& flags, DiffOptions& options);
void declare(FlagSet& flags, CatOptions& options);
void declare(FlagSet& flags, StatsOptions& options);
void declare(FlagSet& flags, ReportOptions& options);
void declare(FlagSet& flags, TagOptions& options);
void declare(FlagSet& flags, PinOptions& options);
void declare(FlagSet& flags, UnpinOptions& options);
void declare(FlagSet& flags, ForgetOptions& options);
void declare(FlagSet& flags, GcOptions& options);
void declare(FlagSet& flags, PushOptions& options);
void declare(FlagSet& flags, PullOptions& options);
void declare(FlagSet& flags, RemoteTestOptions& options);
void declare(FlagSet& flags, CheckOptions& options);
void declare(FlagSet& flags, RepairOptions& options);
void declare(FlagSet& flags, CompletionOptions& options);
void declare(FlagSet& flags, CompleteOptions& options);
void declare(FlagSet& flags, VersionOptions& options);
void declare(FlagSet& flags, IndexOptions& options);
void declare(FlagSet& flags, HelpOptions& options);

}  // namespace cairn
