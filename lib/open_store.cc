#include "lib/open_store.h"

#include <fmt/format.h>

namespace cairn {

static constexpr std::string_view kFileScheme = "file://";

static std::string_view scheme_of(std::string_view place) {
  const size_t end = place.find("://");
  return end == std::string_view::npos ? std::string_view() : place.substr(0, end);
}

bool is_remote(const std::string& place) {
  const std::string_view scheme = scheme_of(place);
  return !scheme.empty() && scheme != "file";
}

std::string folder_of(const std::string& place) {
  if (!place.starts_with(kFileScheme)) return place;
  const std::string path = place.substr(kFileScheme.size());
  return path.starts_with("localhost/") ? path.substr(std::string_view("localhost").size()) : path;
}

Result<OpenStore> open_store(const std::string& place) {
  if (is_remote(place)) {
    return fail(Code::kUsage, fmt::format("'{}' is a URL of an unknown scheme", place),
                "stores are reached by https://, s3://, file:// and folders");
  }
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
