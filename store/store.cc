#include "store/store.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "base/clock.h"
#include "store/ballast.h"
#include "store/meta_pack.h"
#include "store/probe.h"

namespace cairn {

static constexpr uint64_t kConfigBytesMax = kMiB;
static constexpr std::chrono::seconds kClaimWait{60};

Store::Store(Fs& fs, std::string path, Config config)
    : fs_(fs),
      path_(std::move(path)),
      config_(std::move(config)),
      meta_files_(std::make_unique<FilePool>(fs, path_, OpenMode::kRead)) {}

/// What a store has before it has a config.
static constexpr std::array<const char*, 7> kMadeByInit = {
    "config.new", "root", "lock", "ballast", "meta", "packs", "sessions"};

/// `is_claimed`: this process holds the lock, so what is there is not being made right now.
static Status refuse_occupied(Fs& fs, const std::string& path, bool is_claimed) {
  auto entries = fs.list(path);
  const auto is_absent = [&] { return !entries && entries.error().code == Code::kNotFound; };
  if (is_absent()) {
    const auto place = fs.info(path);
    if (!place) return {};
    if (!place->is_folder) {
      return fail(Code::kExists, fmt::format("'{}' is a file, and a store is a folder", path),
                  "name an empty or a new folder");
    }
    entries = fs.list(path);  // another has made it since
    if (is_absent()) return {};
  }
  if (!entries) {
    return fail(entries.error().code, entries.error().message, "name an empty or a new folder");
  }
  bool is_empty = true;
  for (const FolderEntry& entry : *entries) {
    if (entry.name == "config") {
      return fail(Code::kExists, fmt::format("'{}' is a store already", path));
    }
    const bool may_be_made =
        std::find(kMadeByInit.begin(), kMadeByInit.end(), entry.name) != kMadeByInit.end();
    const bool is_passing = entry.name == "lock" || is_probe(entry.name);
    if (!is_passing && (is_claimed || !may_be_made)) is_empty = false;
  }
  if (is_empty) return {};
  return fail(Code::kExists, fmt::format("'{}' is not empty", path),
              "name an empty or a new folder");
}

/// What an init that failed has made.
static void remove_half_store(Fs& fs, const std::string& path) {
  for (const char* name : kMadeByInit) {
    const std::string made = join_path(path, name);
    if (file_exists(fs, made)) (void)fs.remove(made).has_value();
  }
}

/// Not the file is missing but what lies farther up: a bucket, of which the hint speaks.
static bool is_place_missing(const Error& error) {
  return error.code == Code::kNotFound && !error.hint.empty();
}

static Status make_store(Fs& fs, const std::string& path, const Config& wanted) {
  Config config = wanted;
  CAIRN_TRY(config.store_id, SessionId::fresh());
  config.created = format_rfc3339(now_ns());
  for (const char* folder : {"meta", "packs", "sessions"}) {
    CAIRN_CHECK(fs.make_folders(join_path(path, folder)));
  }
  Root root;
  root.store_id = config.store_id;
  CAIRN_CHECK(make_ballast(fs, path));
  CAIRN_CHECK(write_new_file(fs, join_path(path, "root"), encode_root(root)));
  // The config comes last and at once: a folder with one is a whole store.
  CAIRN_CHECK(replace_file(fs, join_path(path, "config"), join_path(path, "config.new"),
                           as_bytes(encode_config(config))));
  return fs.sync_folder(parent_folder(path));
}

/// Where files are replaced by version: `config` makes the store, and whoever puts it there first
/// has made it. A root without one is what an init left that was killed.
static Status init_by_version(Fs& fs, const std::string& path, const Config& wanted) {
  ConditionalFiles& files = *fs.conditional();
  Config config = wanted;
  CAIRN_TRY(config.store_id, SessionId::fresh());
  config.created = format_rfc3339(now_ns());
  Root root;
  root.store_id = config.store_id;
  bool may_be_done = false;
  const Status made = files.replace(join_path(path, "root"), "", encode_root(root), may_be_done);
  if (!made) {
    if (is_place_missing(made.error())) {
      return fail(Code::kNoStore, made.error().message, made.error().hint);
    }
    if (made.error().code != Code::kExists && !may_be_done) return made;
    CAIRN_TRY(root, read_root(fs, path));
    config.store_id = root.store_id;
  }
  const std::string text = encode_config(config), config_path = join_path(path, "config");
  const Status claimed = files.replace(config_path, "", as_bytes(text), may_be_done);
  if (claimed) return {};
  if (may_be_done) {
    const auto standing = files.read(config_path, kConfigBytesMax);
    if (standing && as_text(standing->bytes) == text) return {};
    if (!standing) return claimed;
  } else if (claimed.error().code != Code::kExists) {
    return claimed;
  }
  return fail(Code::kExists, fmt::format("'{}' is a store already", path));
}

/// The ranks of a job may do this at once: one of them makes the store, the others find it.
static Status claim_and_make(Fs& fs, const std::string& path, const Config& wanted) {
  CAIRN_CHECK(fs.make_folders(path));
  CAIRN_CHECK(probe_file_system(fs, path));
  CAIRN_TRY(const auto lock, fs.lock(join_path(path, "lock"), kClaimWait));
  CAIRN_CHECK(refuse_occupied(fs, path, /*is_claimed=*/true));
  const Status made = make_store(fs, path, wanted);
  if (made) return {};
  const auto config = fs.info(join_path(path, "config"));
  const bool is_half = !config && config.error().code == Code::kNotFound;
  if (is_half) remove_half_store(fs, path);
  return made;
}

Status Store::init(Fs& fs, const std::string& path, const Config& wanted) {
  CAIRN_CHECK(check_config(wanted));
  if (fs.conditional() != nullptr) return init_by_version(fs, path, wanted);
  CAIRN_CHECK(refuse_occupied(fs, path, /*is_claimed=*/false));
  const bool was_there = file_exists(fs, path);
  const Status made = claim_and_make(fs, path, wanted);
  if (!made && !was_there) (void)fs.remove(path).has_value();  // if it is empty
  return made;
}

Status Store::check_vacant(Fs& fs, const std::string& path) {
  if (fs.conditional() == nullptr) return refuse_occupied(fs, path, /*is_claimed=*/false);
  const auto config = fs.conditional()->read(join_path(path, "config"), kConfigBytesMax);
  if (config) return fail(Code::kExists, fmt::format("'{}' is a store already", path));
  if (is_place_missing(config.error())) {
    return fail(Code::kNoStore, config.error().message, config.error().hint);
  }
  return config.error().code == Code::kNotFound ? Status() : tl::unexpected(config.error());
}

Result<std::unique_ptr<Store>> Store::open(Fs& fs, const std::string& path) {
  const std::string config_path = join_path(path, "config");
  const auto text = read_file(fs, config_path, kConfigBytesMax);
  if (!text) {
    const auto place = fs.info(path);
    if (place && !place->is_folder) {
      return fail(Code::kNoStore, fmt::format("'{}' is a file, and a store is a folder", path));
    }
  }
  const bool is_absent = !text && text.error().code == Code::kNotFound;
  if (!text && is_place_missing(text.error())) {
    return fail(Code::kNoStore, text.error().message, text.error().hint);
  }
  if (is_absent) {
    return fail(Code::kNoStore, fmt::format("there is no store at '{}'", path),
                fs.read_habits().is_remote
                    ? fmt::format("is it the folder that 'config' and 'root' lie in?{}",
                                  fs.conditional() == nullptr ? "" : " 'cairn init' makes one")
                    : fmt::format("make one with 'cairn init {}'", path));
  }
  if (!text) return tl::unexpected(text.error());
  CAIRN_TRY(Config config, decode_config(*text, config_path));
  return std::unique_ptr<Store>(new Store(fs, path, std::move(config)));
}

uint64_t Store::pack_bytes() const {
  const bool is_bucket = fs_.conditional() != nullptr;
  return is_bucket ? std::min(config_.pack_bytes, ConditionalFiles::kSentAtOnceBytes)
                   : config_.pack_bytes;
}

Result<TagBook> Store::read_book() const {
  auto read = read_root(fs_, path_);
  if (!read && read.error().code == Code::kCorrupt) {
    Error error = std::move(read).error();
    error.hint = "'cairn repair tags --dry-run' shows what can be put together again";
    return tl::unexpected(std::move(error));
  }
  CAIRN_TRY(Root root, std::move(read));
  if (root.store_id != config_.store_id) {
    return fail(Code::kCorrupt,
                fmt::format("'{}/root' belongs to another store than '{}/config'", path_, path_));
  }
  return TagBook(*meta_files_, std::move(root));
}

Result<TagList> Store::read_tags() const {
  return ask_tags([](TagBook& book) { return book.list(); });
}

Result<TagEntry> Store::find_tag(std::string_view name) const {
  return ask_tags([&](TagBook& book) -> Result<TagEntry> {
    CAIRN_TRY(const TagEntry* entry, book.find(name));
    if (entry != nullptr) return *entry;
    return fail(Code::kNotFound, fmt::format("there is no tag '{}' in '{}'", name, path_),
                "'cairn ls' lists the tags");
  });
}

}  // namespace cairn
