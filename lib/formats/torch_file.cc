#include "lib/formats/torch_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"
#include "lib/formats/torch_legacy.h"
#include "lib/formats/zip_format.h"
#include "lib/formats/zip_reader.h"

namespace cairn {

static bool is_zip(ByteSpan file) {
  return file.size() >= 4 && load_le<uint32_t>(file) == zip::kLocal;
}

bool looks_like_torch(ByteSpan file) { return is_zip(file) || is_legacy_torch(file); }

static const ZipEntry* find_entry(const std::vector<ZipEntry>& entries, const std::string& name) {
  const auto found = std::find_if(entries.begin(), entries.end(),
                                  [&](const ZipEntry& entry) { return entry.name == name; });
  return found == entries.end() ? nullptr : &*found;
}

static tl::unexpected<Error> no_torch_file(const std::string& path, std::string_view why,
                                           std::string hint = {}) {
  return fail(Code::kUsage, fmt::format("'{}' is no file of torch.save: {}", path, why),
              std::move(hint));
}

static Result<TorchFile> parse_zip(ByteSpan file, const std::string& path) {
  static constexpr std::string_view kPickle = "/data.pkl";
  CAIRN_TRY(const auto entries, read_zip(file, path));
  const auto pickle = std::find_if(entries.begin(), entries.end(), [](const ZipEntry& entry) {
    return entry.name.ends_with(kPickle) &&
           entry.name.find('/') == entry.name.size() - kPickle.size();
  });
  if (pickle == entries.end()) return no_torch_file(path, "the archive has no data.pkl");
  const std::string folder = pickle->name.substr(0, pickle->name.size() - kPickle.size());
  if (find_entry(entries, folder + "/constants.pkl") != nullptr) {
    return no_torch_file(path, "it is a TorchScript program",
                         "load it with torch.jit.load and save its state_dict()");
  }
  const auto compressed = std::find_if(entries.begin(), entries.end(),
                                       [](const ZipEntry& entry) { return !entry.is_plain; });
  if (compressed != entries.end()) {
    return no_torch_file(
        path, fmt::format("its entry '{}' is compressed or encrypted", shown(compressed->name)),
        "load it with torch and save it with torch.save");
  }
  const ZipEntry* order = find_entry(entries, folder + "/byteorder");
  if (order != nullptr && as_text(order->bytes) != "little") {
    return no_torch_file(path, "its tensors are big-endian",
                         "load it with torch and save it on a little-endian machine");
  }
  TorchFile made;
  const auto read = read_pickle(pickle->bytes, made.graph);
  if (!read) return no_torch_file(path, read.error().message);
  made.root = read->root;
  const std::string data = folder + "/data/";
  for (const ZipEntry& entry : entries) {
    if (entry.name.starts_with(data)) {
      made.storages[entry.name.substr(data.size())] = entry.bytes;  // the last, as in PyTorch
    }
  }
  return made;
}

Result<TorchFile> parse_torch_file(ByteSpan file, const std::string& path) {
  return is_zip(file) ? parse_zip(file, path) : parse_torch_legacy(file, path);
}

}  // namespace cairn
