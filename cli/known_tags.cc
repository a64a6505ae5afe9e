#include "cli/known_tags.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "base/clock.h"
#include "base/digest.h"
#include "base/fs.h"
#include "lib/open_store.h"

namespace cairn {

using namespace std::chrono_literals;

static constexpr auto kPatience = 2000ms;
static constexpr std::chrono::nanoseconds kFresh = 30s;
static constexpr uint64_t kCacheBytesMax = kMiB;
static constexpr std::string_view kCacheBegin = "tags-";

namespace {

/// Sets a flag when the time is over, unless it goes before.
class Alarm {
 public:
  Alarm(std::chrono::milliseconds after, std::atomic<bool>& flag)
      : thread_([this, after, &flag] {
          std::unique_lock lock(mutex_);
          if (!gone_.wait_for(lock, after, [this] { return is_gone_; })) flag = true;
        }) {}
  ~Alarm() {
    {
      const std::lock_guard lock(mutex_);
      is_gone_ = true;
    }
    gone_.notify_one();
    thread_.join();
  }
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable gone_;
  bool is_gone_ = false;
  std::thread thread_;
};

}  // namespace

static std::vector<std::string> names_of(const std::string& place,
                                         const remote::RemoteOptions& options) {
  std::vector<std::string> names;
  const auto store = open_store(place, options);
  const auto list = store ? (*store)->read_tags() : tl::unexpected(store.error());
  if (!list) return names;
  for (const TagEntry& tag : list->tags) names.push_back(tag.name);
  return names;
}

/// Empty: nothing is kept.
static std::string cache_folder(const Environment& environment) {
  if (const auto folder = environment("XDG_CACHE_HOME")) return *folder + "/cairn";
  const auto home = environment("HOME");
  return home ? *home + "/.cache/cairn" : "";
}

static std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    lines.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

static std::optional<std::vector<std::string>> cached(const std::string& path) {
  const auto info = posix_fs().info(path);
  if (!info) return std::nullopt;
  const int64_t age = now_ns() - info->modified_ns;
  if (age < 0 || age > kFresh.count()) return std::nullopt;
  const auto text = read_file(posix_fs(), path, kCacheBytesMax);
  if (!text) return std::nullopt;
  return lines_of(as_text(*text));
}

/// Lists of places that nobody asks for any more go; what cannot be kept is asked for again.
static void keep(const std::string& folder, const std::string& path,
                 const std::vector<std::string>& names) {
  Fs& fs = posix_fs();
  if (!fs.make_folders(folder)) return;
  if (const auto entries = fs.list(folder)) {
    for (const FolderEntry& entry : *entries) {
      const std::string each = folder + "/" + entry.name;
      if (entry.name.starts_with(kCacheBegin) && !cached(each)) (void)fs.remove(each).has_value();
    }
  }
  std::string text;
  for (const std::string& name : names) text += name + "\n";
  if (text.size() > kCacheBytesMax) return;
  const std::string temporary = path + "." + std::to_string(now_ns());
  (void)replace_file(fs, path, temporary, as_bytes(text)).has_value();
}

std::vector<std::string> known_tags(const std::string& place, const Environment& environment) {
  if (!is_remote(place)) return names_of(place, {});
  const std::string folder = cache_folder(environment);
  // A URL may have a password in it.
  const std::string path =
      folder + "/" + std::string(kCacheBegin) + blake3(as_bytes(place)).hex().substr(0, 32);
  if (!folder.empty()) {
    if (auto names = cached(path)) return *std::move(names);
  }
  std::atomic<bool> stop{false};
  remote::RemoteOptions options;
  options.stop = &stop;
  options.retry_for = 0ms;
  std::vector<std::string> names;
  {
    const Alarm alarm(kPatience, stop);
    names = names_of(place, options);
  }
  if (!folder.empty()) keep(folder, path, names);
  return names;
}

}  // namespace cairn
