#include "lib/open_store.h"

#include "store/remote/remote_fs.h"
#include "store/remote/url.h"

namespace cairn {

static constexpr std::string_view kFileScheme = "file://";

bool is_remote(const std::string& place) { return remote::is_remote_url(place); }

std::string folder_of(const std::string& place) {
  if (!place.starts_with(kFileScheme)) return place;
  const std::string path = place.substr(kFileScheme.size());
  return path.starts_with("localhost/") ? path.substr(std::string_view("localhost").size()) : path;
}

/// How the store is called in messages and its files by their paths.
static Result<std::string> root_of(const std::string& place) {
  CAIRN_TRY(const remote::Url url, remote::parse_url(place));
  std::string root = url.shown();
  while (root.ends_with('/')) root.pop_back();
  return root;
}

static Result<OpenStore> open_remote(const std::string& place,
                                     const remote::RemoteOptions& options) {
  CAIRN_TRY(auto backend, remote::open_backend(place, options));
  CAIRN_TRY(const std::string root, root_of(place));
  auto fs = std::make_unique<remote::RemoteFs>(std::move(backend), root,
                                               static_cast<unsigned>(options.connections));
  CAIRN_TRY(auto store, Store::open(*fs, root));
  return OpenStore(std::move(fs), std::move(store));
}

Result<OpenStore> open_store(const std::string& place, const remote::RemoteOptions& options) {
  if (is_remote(place)) return open_remote(place, options);
  CAIRN_TRY(auto store, Store::open(posix_fs(), folder_of(place)));
  return OpenStore(nullptr, std::move(store));
}

static Config config_like(const Config& like) {
  Config config;
  config.chunk_elements = like.chunk_elements;
  config.opaque_chunk_bytes = like.opaque_chunk_bytes;
  config.pack_bytes = like.pack_bytes;
  config.features = like.features;
  return config;
}

Result<OpenStore> open_or_make_store(const std::string& place, const Config& like, bool& was_made) {
  auto opened = open_store(place);
  was_made = !opened && opened.error().code == Code::kNoStore && !is_remote(place);
  if (!was_made) return opened;
  // What is there and is no store is refused by init.
  const Status made = Store::init(posix_fs(), folder_of(place), config_like(like));
  if (!made) return tl::unexpected(opened.error());
  return open_store(place);
}

}  // namespace cairn
