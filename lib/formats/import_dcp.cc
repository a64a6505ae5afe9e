// Folders of torch.distributed.checkpoint as the sources of a save: each piece of a tensor is a
// box, where it lies in its file. However many ranks wrote the folder, one tag comes of it.
#include <fmt/format.h>

#include "base/utf8.h"
#include "lib/formats/dcp_keys.h"
#include "lib/formats/dcp_metadata.h"
#include "lib/formats/import_sources.h"
#include "lib/formats/pickle_names.h"

namespace cairn {

using nlohmann::json;

namespace {

class DcpImporter {
 public:
  DcpImporter(ImportSources& sources, const std::string& folder)
      : sources_(sources), folder_(folder) {}

  Status run() {
    const std::string path = join_path(folder_, std::string(kDcpMetadataName));
    CAIRN_TRY(const ByteSpan bytes, sources_.map(path));
    CAIRN_TRY(const DcpMetadata metadata, parse_dcp_metadata(bytes, path));
    for (const DcpItem& item : metadata.items) {
      if (item.is_tensor) {
        CAIRN_CHECK(add_tensor(item));
      } else {
        CAIRN_CHECK(add_value(item));
      }
    }
    CAIRN_CHECK(add_state(metadata));
    CAIRN_TRY(const auto entries, sources_.fs().list(folder_));
    return add_other_files(sources_, folder_, entries, [](const std::string& name) {
      return name == kDcpMetadataName || name.ends_with(kDcpSuffix);
    });
  }

 private:
  Result<ByteSpan> bytes_of(const std::string& key, const DcpPlace& place) {
    auto known = files_.find(place.file);
    if (known == files_.end()) {
      const auto mapped = sources_.map(join_path(folder_, place.file));
      if (!mapped) {
        return tl::unexpected(
            with_context(mapped.error(), fmt::format("reading '{}'", shown(key))));
      }
      known = files_.emplace(place.file, *mapped).first;
    }
    const ByteSpan file = known->second;
    if (place.offset > file.size() || place.bytes > file.size() - place.offset) {
      return fail(Code::kUsage,
                  fmt::format("'{}' ends before '{}', which the metadata places in it",
                              join_path(folder_, place.file), shown(key)),
                  "it may have been cut off while it was written or copied");
    }
    return file.subspan(place.offset, place.bytes);
  }

  Result<TorchFile> open(const std::string& key, const DcpPlace& place) {
    CAIRN_TRY(const ByteSpan bytes, bytes_of(key, place));
    auto file = parse_torch_file(bytes, join_path(folder_, place.file));
    if (!file) {
      return tl::unexpected(with_context(file.error(), fmt::format("reading '{}'", shown(key))));
    }
    return file;
  }

  Status add_tensor(const DcpItem& item) {
    for (const DcpPiece& piece : item.pieces) {
      CAIRN_TRY(const TorchFile file, open(item.key, piece.place));
      CAIRN_TRY(const auto tensor, tensor_at(file, file.root, item.key));
      const bool fits = tensor && tensor->dtype == item.dtype && tensor->shape == piece.box.lengths;
      if (!fits) {
        return fail(Code::kUsage,
                    fmt::format("the metadata of '{}' says that a piece of '{}' is {} {}, and its "
                                "file has something else",
                                folder_, shown(item.key), dtype_name(item.dtype),
                                shape_text(piece.box.lengths)));
      }
      const Status inside = check_box(piece.box, item.shape);
      if (!inside) {
        return tl::unexpected(with_context(
            inside.error(), fmt::format("reading '{}' of '{}'", shown(item.key), folder_)));
      }
      CAIRN_CHECK(sources_.add_tensor(item.key, *tensor, item.shape, piece.box, folder_));
    }
    if (item.pieces.empty()) {
      return fail(Code::kUsage, fmt::format("'{}' has no piece in '{}'", shown(item.key), folder_));
    }
    nodes_.emplace_back(item.key, StateNode{.kind = StateNode::Kind::kTensor, .name = item.key});
    return {};
  }

  Status add_value(const DcpItem& item) {
    CAIRN_TRY(const TorchFile file, open(item.key, item.value));
    if (!sources_.request().allow_pickle) {
      CAIRN_CHECK(check_plain(file.graph, fmt::format("'{}' in '{}'", shown(item.key), folder_)));
    }
    auto value = take_value(file, item.key);
    if (value && !is_split(*value)) {
      nodes_.emplace_back(item.key, *std::move(value));
      return {};
    }
    CAIRN_TRY(const ByteSpan bytes, bytes_of(item.key, item.value));
    sources_.add_bytes(std::string(kBytesPrefix) + item.key, bytes);
    nodes_.emplace_back(item.key, StateNode{.kind = StateNode::Kind::kBytes, .name = item.key});
    return {};
  }

  /// Whether a planner that flattens would ask for its parts.
  static bool is_split(const StateNode& value) {
    const auto leaves = dcp_leaves(StateNode{.children = {{"x", value}}});
    return leaves.size() != 1 || leaves.front().node->kind != value.kind;
  }

  Status add_state(const DcpMetadata& metadata) {
    const std::map<std::string, DcpPath> paths(metadata.paths.begin(), metadata.paths.end());
    std::vector<std::pair<std::string, StateNode>> ordered;
    std::map<std::string, StateNode> by_key(nodes_.begin(), nodes_.end());
    const auto take = [&](const std::string& key) {
      const auto found = by_key.find(key);
      if (found == by_key.end()) return;
      ordered.emplace_back(key, std::move(found->second));
      by_key.erase(found);
    };
    for (const auto& [key, path] : metadata.paths) take(key);  // the state's order
    for (const DcpItem& item : metadata.items) take(item.key);
    StateNode root = state_of_dcp(std::move(ordered), paths);
    add_extras(metadata, root);
    return sources_.add_state(std::move(root), folder_);
  }

  /// As python/cairn/torch/_metadata.py keeps them.
  void add_extras(const DcpMetadata& metadata, const StateNode& root) {
    std::string told;
    const auto tell = [&](std::string_view name, const std::string& text) {
      told += fmt::format("{}\"{}\":{}", told.empty() ? "" : ",", name, text);
    };
    json planner_data = metadata.planner_data;
    if (!metadata.paths.empty() && !follow(metadata.paths, root)) {
      planner_data = encoded_paths(metadata.paths);
    }
    if (!planner_data.is_null()) tell("planner_data", planner_data.dump(-1, ' ', true));
    const std::string properties = unusual_properties(metadata);
    if (!properties.empty()) tell("properties", "{" + properties + "}");
    if (told.empty()) return;
    sources_.add_own_text(kDcpName, "{" + told + "}");
  }

  static bool follow(const std::vector<std::pair<std::string, DcpPath>>& paths,
                     const StateNode& root) {
    std::map<std::string, DcpPath> implied;
    for (const DcpLeaf& leaf : dcp_leaves(root)) implied.emplace(leaf.key, leaf.path);
    return implied == std::map<std::string, DcpPath>(paths.begin(), paths.end());
  }

  static json encoded_paths(const std::vector<std::pair<std::string, DcpPath>>& paths) {
    json pairs = json::array();
    for (const auto& [key, path] : paths) {
      pairs.push_back(json::array({key, {{"tuple", path}}}));
    }
    return {{"dict", std::move(pairs)}};
  }

  static std::string unusual_properties(const DcpMetadata& metadata) {
    static constexpr std::array<std::string_view, 3> kFormats = {"", "channels_last",
                                                                 "preserve_format"};
    std::map<std::string, std::string> unusual;
    for (const DcpItem& item : metadata.items) {
      const size_t format = item.memory_format == 1 || item.memory_format == 2
                                ? static_cast<size_t>(item.memory_format)
                                : 0;
      std::string words = item.requires_grad ? "\"requires_grad\":true" : "";
      if (format != 0) {
        words +=
            fmt::format("{}\"memory_format\":\"{}\"", words.empty() ? "" : ",", kFormats[format]);
      }
      if (!words.empty()) unusual[item.key] = words;
    }
    std::string text;
    for (const auto& [key, words] : unusual) {
      text +=
          fmt::format("{}{}:{{{}}}", text.empty() ? "" : ",", json(key).dump(-1, ' ', true), words);
    }
    return text;
  }

  ImportSources& sources_;
  const std::string& folder_;
  std::map<std::string, ByteSpan> files_;
  std::vector<std::pair<std::string, StateNode>> nodes_;
};

}  // namespace

Status add_dcp(ImportSources& sources, const std::string& folder) {
  return DcpImporter(sources, folder).run();
}

}  // namespace cairn
