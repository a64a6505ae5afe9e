#include "lib/open_store.h"

#include <fmt/format.h>

#include "base/parse.h"
#include "store/remote/ascii.h"
#include "store/remote/remote_fs.h"
#include "store/remote/url.h"
#include "store/writable.h"

namespace cairn {

static constexpr uint64_t kCacheBytes = 16 * kGiB;

/// How the store is called in messages and its files by their paths.
static Result<std::string> root_of(const std::string& place) {
  CAIRN_TRY(const remote::Url url, remote::parse_url(place));
  std::string root = url.shown();
  while (root.ends_with('/')) root.pop_back();
  return root;
}

namespace {

/// Where a remote store lies, or is to lie.
struct RemotePlace {
  std::string root;
  std::unique_ptr<remote::RemoteFs> fs;
};

}  // namespace

/// The cache that the environment names; null: none.
static Result<std::shared_ptr<remote::ReadCache>> open_cache(const remote::RemoteOptions& options) {
  const std::string folder = options.environment.get("CAIRN_CACHE");
  if (folder.empty() || !options.may_cache) return nullptr;
  uint64_t bytes_max = kCacheBytes;
  if (const std::string size = options.environment.get("CAIRN_CACHE_SIZE"); !size.empty()) {
    const auto bytes = parse_size(size);
    if (!bytes) {
      return fail(bytes.error().code, "CAIRN_CACHE_SIZE: " + bytes.error().message,
                  bytes.error().hint);
    }
    bytes_max = *bytes;
  }
  auto cache = remote::ReadCache::open(posix_fs(), folder, bytes_max);
  if (cache) return cache;
  if (cache.error().code == Code::kNoSpace) return nullptr;
  return fail(Code::kUsage, "CAIRN_CACHE: " + cache.error().message, cache.error().hint);
}

static Result<RemotePlace> reach(const std::string& place, const remote::RemoteOptions& options) {
  RemotePlace reached;
  CAIRN_TRY(auto backend, remote::open_backend(place, options));
  CAIRN_TRY(reached.root, root_of(place));
  CAIRN_TRY(auto cache, open_cache(options));
  reached.fs = std::make_unique<remote::RemoteFs>(std::move(backend), reached.root,
                                                  static_cast<unsigned>(options.connections),
                                                  std::move(cache));
  return reached;
}

Result<OpenStore> open_store(const std::string& place, const remote::RemoteOptions& options) {
  if (!is_remote(place)) {
    auto store = Store::open(posix_fs(), folder_of(place));
    if (store) return OpenStore(nullptr, *std::move(store));
    const auto meant = remote::meant_url(place);
    if (meant && store.error().code == Code::kNoStore) {
      store.error().hint += fmt::format("; or did you mean '{}'?", *meant);
    }
    return tl::unexpected(std::move(store).error());
  }
  CAIRN_TRY(RemotePlace reached, reach(place, options));
  CAIRN_TRY(auto store, Store::open(*reached.fs, reached.root));
  return OpenStore(std::move(reached.fs), std::move(store));
}

/// A folder that would be called like the begin of a URL is none that anybody wants.
static Status refuse_scheme(const std::string& place) {
  for (const std::string_view scheme : {"s3:", "http:", "https:"}) {
    if (remote::lower(place.substr(0, scheme.size())) != scheme) continue;
    const auto meant = remote::meant_url(place);
    return fail(Code::kUsage, fmt::format("'{}' is no URL, and no name for a folder", place),
                meant ? fmt::format("did you mean '{}'?", *meant)
                      : "say 's3://bucket/prefix'; a folder of that name is './" + place + "'");
  }
  return {};
}

/// Does `work(fs, path)` where a store may be made.
template <class Work>
static Status with_writable(const std::string& place, const remote::RemoteOptions& options,
                            const Work& work) {
  if (!is_remote(place)) {
    CAIRN_CHECK(refuse_scheme(place));
    return work(posix_fs(), folder_of(place));
  }
  CAIRN_TRY(const RemotePlace reached, reach(place, options));
  CAIRN_CHECK(check_place_is_written(*reached.fs, reached.root));
  return work(*reached.fs, reached.root);
}

Status init_store(const std::string& place, const Config& config,
                  const remote::RemoteOptions& options) {
  return with_writable(place, options, [&](Fs& fs, const std::string& path) {
    return Store::init(fs, path, config);
  });
}

Result<std::optional<OpenStore>> find_store(const std::string& place,
                                            const remote::RemoteOptions& options) {
  auto opened = open_store(place, options);
  if (opened) return std::optional<OpenStore>(*std::move(opened));
  if (opened.error().code != Code::kNoStore) return tl::unexpected(opened.error());
  const Status vacant = with_writable(place, options, [](Fs& fs, const std::string& path) {
    return Store::check_vacant(fs, path);
  });
  if (!vacant && vacant.error().code == Code::kExists) return tl::unexpected(opened.error());
  CAIRN_CHECK(vacant);
  return std::optional<OpenStore>();
}

static Config config_like(const Config& like) {
  Config config;
  config.chunk_elements = like.chunk_elements;
  config.opaque_chunk_bytes = like.opaque_chunk_bytes;
  config.pack_bytes = like.pack_bytes;
  config.features = like.features;
  return config;
}

Result<OpenStore> open_or_make_store(const std::string& place, const Config& like, bool& was_made,
                                     const remote::RemoteOptions& options) {
  auto opened = open_store(place, options);
  was_made = false;
  if (opened || opened.error().code != Code::kNoStore) return opened;
  const Status made = init_store(place, config_like(like), options);
  was_made = made.has_value();
  // What is there and is no store is refused by init; so is the store of a process that was first.
  if (!made && made.error().code != Code::kExists) return tl::unexpected(made.error());
  return open_store(place, options);
}

}  // namespace cairn
