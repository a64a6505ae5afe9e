#include <fmt/format.h>

#include <map>

#include "base/utf8.h"
#include "lib/formats/dcp_metadata.h"
#include "lib/formats/pickle_names.h"
#include "lib/formats/torch_dtype.h"

namespace cairn {

using nlohmann::json;
using Kind = PickleNode::Kind;

namespace {

class MetadataReader {
 public:
  MetadataReader(const PickleGraph& graph, const std::string& path) : graph_(graph), path_(path) {}

  Result<DcpMetadata> read(PickleId root) {
    DcpMetadata made;
    const PickleId items = field(root, "state_dict_metadata");
    const PickleId places = field(root, "storage_data");
    if (items == kNoPickle || places == kNoPickle) return malformed("it has no list of tensors");
    CAIRN_CHECK(read_places(places));
    const auto& pairs = graph_.at(items).pairs;
    for (size_t i = 0; i + 1 < pairs.size(); i += 2) {
      CAIRN_TRY(DcpItem item, read_item(graph_.at(pairs[i]).text, pairs[i + 1]));
      made.items.push_back(std::move(item));
    }
    CAIRN_CHECK(read_planner_data(field(root, "planner_data"), made));
    return made;
  }

 private:
  tl::unexpected<Error> malformed(std::string_view why) const {
    return fail(Code::kUsage,
                fmt::format("'{}' is no metadata of a DCP checkpoint: {}", path_, why));
  }

  /// Of a data class: set by its state, or given to its class.
  PickleId field(PickleId object, std::string_view name) const {
    if (object == kNoPickle || graph_.at(object).kind != Kind::kCall) return kNoPickle;
    return graph_.value_of(graph_.at(object).state, name);
  }

  int64_t number(PickleId id, int64_t otherwise = -1) const {
    return id != kNoPickle && graph_.at(id).kind == Kind::kInt ? graph_.at(id).integer : otherwise;
  }

  /// A torch.Size, or a tuple.
  std::optional<std::vector<uint64_t>> numbers(PickleId id) const {
    if (id == kNoPickle) return std::nullopt;
    if (graph_.is_call_of(id, "torch.Size") && graph_.args_of(id).size() == 1) {
      id = graph_.args_of(id)[0];
    }
    if (graph_.at(id).kind != Kind::kTuple && graph_.at(id).kind != Kind::kList)
      return std::nullopt;
    std::vector<uint64_t> read;
    for (const PickleId item : graph_.at(id).items) {
      if (number(item) < 0) return std::nullopt;
      read.push_back(static_cast<uint64_t>(number(item)));
    }
    return read;
  }

  /// MetadataIndex -> _StorageInfo.
  Status read_places(PickleId places) {
    const auto& pairs = graph_.at(places).pairs;
    for (size_t i = 0; i + 1 < pairs.size(); i += 2) {
      const PickleId name = field(pairs[i], "fqn"), file = field(pairs[i + 1], "relative_path");
      const int64_t offset = number(field(pairs[i + 1], "offset"));
      const int64_t bytes = number(field(pairs[i + 1], "length"));
      if (name == kNoPickle || file == kNoPickle || offset < 0 || bytes < 0) {
        return malformed("a place is not understood; only those of FileSystemWriter are");
      }
      const std::string& file_name = graph_.at(file).text;
      if (file_name.empty() ||
          file_name.find_first_of(std::string_view("/\0", 2)) != std::string::npos) {
        return malformed(fmt::format("the file '{}' is not in its folder", shown(file_name)));
      }
      const PickleId transforms = field(pairs[i + 1], "transform_descriptors");
      if (transforms != kNoPickle && !graph_.at(transforms).items.empty()) {
        return malformed(
            "its files are transformed (compressed, ...): save it without _extensions");
      }
      auto at = numbers(field(pairs[i], "offset")).value_or(std::vector<uint64_t>());
      places_.try_emplace(
          {graph_.at(name).text, std::move(at)},
          DcpPlace{file_name, static_cast<uint64_t>(offset), static_cast<uint64_t>(bytes)});
    }
    return {};
  }

  const DcpPlace* find_place(const std::string& key, const std::vector<uint64_t>& offsets) const {
    const auto found = places_.find({key, offsets});
    return found == places_.end() ? nullptr : &found->second;
  }

  Result<DcpItem> read_item(const std::string& key, PickleId about) {
    if (!is_utf8(key)) return malformed(fmt::format("the key '{}' is no UTF-8", shown(key)));
    DcpItem item{.key = key};
    const PickleId chunks = field(about, "chunks");
    if (chunks == kNoPickle) {
      const DcpPlace* place = find_place(key, {});
      if (place == nullptr) return malformed(fmt::format("'{}' is in no file", shown(key)));
      item.value = *place;
      return item;
    }
    item.is_tensor = true;
    CAIRN_CHECK(read_properties(field(about, "properties"), item));
    const auto shape = numbers(field(about, "size"));
    if (!shape) return malformed(fmt::format("'{}' has no shape", shown(key)));
    item.shape = *shape;
    for (const PickleId chunk : graph_.at(chunks).items) {
      const auto offsets = numbers(field(chunk, "offsets")),
                 lengths = numbers(field(chunk, "sizes"));
      if (!offsets || !lengths)
        return malformed(fmt::format("'{}' has a malformed piece", shown(key)));
      const DcpPlace* place = find_place(key, *offsets);
      if (place == nullptr) {
        return malformed(fmt::format("a piece of '{}' is in no file", shown(key)));
      }
      item.pieces.push_back({{*offsets, *lengths}, *place});
    }
    return item;
  }

  /// (dtype, layout, requires_grad, memory format, pinned)
  Status read_properties(PickleId properties, DcpItem& item) {
    const PickleId state = properties == kNoPickle ? kNoPickle : graph_.at(properties).state;
    if (state == kNoPickle || graph_.at(state).items.size() < 4) {
      return malformed(fmt::format("'{}' has no properties", shown(item.key)));
    }
    const std::vector<PickleId>& parts = graph_.at(state).items;
    const auto dtype = dtype_of_torch(graph_.at(parts[0]).text);
    if (!dtype) {
      return fail(Code::kUsage, fmt::format("'{}' is of '{}', which Cairn does not store",
                                            shown(item.key), shown(graph_.at(parts[0]).text)));
    }
    item.dtype = *dtype;
    item.requires_grad = graph_.at(parts[2]).integer != 0;
    const auto& format = graph_.at(parts[3]).kind == Kind::kCall ? graph_.args_of(parts[3])
                                                                 : std::vector<PickleId>();
    item.memory_format = format.empty() ? 0 : number(format[0], 0);
    return {};
  }

  // --- The planner's data

  Status read_planner_data(PickleId data, DcpMetadata& made) {
    if (data == kNoPickle || graph_.at(data).kind == Kind::kNone) return {};
    if (read_paths(data, made)) return {};
    made.paths.clear();
    CAIRN_TRY(made.planner_data, encoded(data, 0));
    return {};
  }

  bool read_paths(PickleId data, DcpMetadata& made) const {
    if (graph_.at(data).kind != Kind::kDict) return false;
    const auto& pairs = graph_.at(data).pairs;
    for (size_t i = 0; i + 1 < pairs.size(); i += 2) {
      const PickleNode& path = graph_.at(pairs[i + 1]);
      if (path.kind != Kind::kTuple || path.items.empty()) return false;
      if (path.items.size() > kNestingMax) return false;
      DcpPath keys;
      for (const PickleId part : path.items) {
        const PickleNode& key = graph_.at(part);
        if (key.kind != Kind::kText && key.kind != Kind::kInt) return false;
        if (!is_utf8(key.text)) return false;
        keys.push_back(key.kind == Kind::kText ? StateKey(key.text) : StateKey(key.integer));
      }
      made.paths.emplace_back(graph_.at(pairs[i]).text, std::move(keys));
    }
    return true;
  }

  Result<json> encoded(PickleId id, unsigned depth) {
    const PickleNode& node = graph_.at(id);
    if (++encoded_ > graph_.size()) return malformed("its planner's data is shared without end");
    const auto value = value_of_pickle(graph_, id);
    if (value && !value->is_object()) return *value;
    const bool is_dict = node.kind == Kind::kDict;
    if ((!is_dict && node.kind != Kind::kList && node.kind != Kind::kTuple) ||
        depth > kNestingMax) {
      return malformed("its planner's data holds what JSON does not");
    }
    json parts = json::array();
    const std::vector<PickleId>& children = is_dict ? node.pairs : node.items;
    for (const PickleId child : children) {
      CAIRN_TRY(json part, encoded(child, depth + 1));
      parts.push_back(std::move(part));
    }
    if (!is_dict) return json{{node.kind == Kind::kList ? "list" : "tuple", std::move(parts)}};
    json pairs = json::array();
    for (size_t i = 0; i + 1 < parts.size(); i += 2) pairs.push_back({parts[i], parts[i + 1]});
    return json{{"dict", std::move(pairs)}};
  }

  const PickleGraph& graph_;
  const std::string& path_;
  size_t encoded_ = 0;  // nodes of the planner's data
  /// By key, and where a piece begins; nowhere for values.
  std::map<std::pair<std::string, std::vector<uint64_t>>, DcpPlace> places_;
};

}  // namespace

Result<DcpMetadata> parse_dcp_metadata(ByteSpan file, const std::string& path) {
  PickleGraph graph;
  auto read = read_pickle(file, graph);
  if (!read) {
    return fail(Code::kUsage, fmt::format("'{}' is no metadata of a DCP checkpoint: {}", path,
                                          read.error().message));
  }
  CAIRN_CHECK(check_names(graph, is_metadata_name, fmt::format("'{}'", path)));
  return MetadataReader(graph, path).read(read->root);
}

}  // namespace cairn
