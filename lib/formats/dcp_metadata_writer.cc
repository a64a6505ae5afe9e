#include "lib/formats/dcp_metadata.h"
#include "lib/formats/torch_dtype.h"

namespace cairn {

static constexpr std::string_view kModule = "torch.distributed.checkpoint.";

namespace {

class MetadataWriter {
 public:
  Result<Bytes> write(const DcpMetadata& metadata) {
    std::vector<PickleId> items, places;
    for (const DcpItem& item : metadata.items) {
      items.push_back(graph_.text(item.key));
      items.push_back(item.is_tensor ? tensor(item) : made("metadata.BytesStorageMetadata", {}));
      add_places(item, places);
    }
    CAIRN_TRY(const PickleId paths, planner_data(metadata));
    return write_pickle(
        graph_, made("metadata.Metadata", {{"state_dict_metadata", graph_.dict(std::move(items))},
                                           {"planner_data", paths},
                                           {"storage_data", graph_.dict(std::move(places))},
                                           {"storage_meta", storage_meta()},
                                           {"version", graph_.text("1.0.0")}}));
  }

 private:
  using Fields = std::vector<std::pair<std::string_view, PickleId>>;

  /// A data class, as pickle makes one: without its __init__, by its attributes.
  PickleId made(std::string_view name, const Fields& fields) {
    std::vector<PickleId> pairs;
    for (const auto& [field, value] : fields) {
      pairs.push_back(graph_.text(field));
      pairs.push_back(value);
    }
    return made_by_state(name, fields.empty() ? kNoPickle : graph_.dict(std::move(pairs)));
  }

  PickleId made_by_state(std::string_view name, PickleId state) {
    const PickleId args = graph_.tuple({});
    return graph_.add({.kind = PickleNode::Kind::kCall,
                       .is_new = true,
                       .callable = graph_.global(std::string(kModule) + std::string(name)),
                       .args = args,
                       .state = state});
  }

  PickleId size(const std::vector<uint64_t>& numbers) {
    std::vector<PickleId> items;
    for (const uint64_t number : numbers) {
      items.push_back(graph_.integer(static_cast<int64_t>(number)));
    }
    return graph_.call(graph_.global("torch.Size"), {graph_.tuple(std::move(items))});
  }

  PickleId properties(const DcpItem& item) {
    const PickleId layout = graph_.call(graph_.global("torch.serialization._get_layout"),
                                        {graph_.text("torch.strided")});
    const PickleId format =
        graph_.call(graph_.global(std::string(kModule) + "metadata._MEM_FORMAT_ENCODING"),
                    {graph_.integer(item.memory_format)});
    const PickleId state =
        graph_.tuple({graph_.global(torch_dtype_name(item.dtype)), layout,
                      graph_.boolean(item.requires_grad), format, graph_.boolean(false)});
    return made_by_state("metadata.TensorProperties", state);
  }

  PickleId tensor(const DcpItem& item) {
    std::vector<PickleId> chunks;
    for (const DcpPiece& piece : item.pieces) {
      chunks.push_back(made("metadata.ChunkStorageMetadata", {{"offsets", size(piece.box.offsets)},
                                                              {"sizes", size(piece.box.lengths)}}));
    }
    return made("metadata.TensorStorageMetadata", {{"properties", properties(item)},
                                                   {"size", size(item.shape)},
                                                   {"chunks", graph_.list(std::move(chunks))}});
  }

  void add_places(const DcpItem& item, std::vector<PickleId>& places) {
    if (!item.is_tensor)
      return add_place(item.key, graph_.none(), graph_.none(), item.value, places);
    for (size_t i = 0; i < item.pieces.size(); ++i) {
      add_place(item.key, size(item.pieces[i].box.offsets), graph_.integer(static_cast<int64_t>(i)),
                item.pieces[i].place, places);
    }
  }

  void add_place(const std::string& key, PickleId offset, PickleId index, const DcpPlace& place,
                 std::vector<PickleId>& places) {
    places.push_back(made("metadata.MetadataIndex",
                          {{"fqn", graph_.text(key)}, {"offset", offset}, {"index", index}}));
    places.push_back(made("filesystem._StorageInfo",
                          {{"relative_path", graph_.text(place.file)},
                           {"offset", graph_.integer(static_cast<int64_t>(place.offset))},
                           {"length", graph_.integer(static_cast<int64_t>(place.bytes))}}));
  }

  PickleId storage_meta() {
    return made("metadata.StorageMeta", {{"checkpoint_id", graph_.none()},
                                         {"save_id", graph_.none()},
                                         {"load_id", graph_.none()},
                                         {"modules", graph_.list({})}});
  }

  Result<PickleId> planner_data(const DcpMetadata& metadata) {
    if (!metadata.planner_data.is_null()) return decoded(metadata.planner_data, 0);
    std::vector<PickleId> pairs;
    for (const auto& [key, path] : metadata.paths) {
      std::vector<PickleId> parts;
      for (const StateKey& part : path) {
        CAIRN_TRY(const PickleId node, pickle_of_value(graph_, part));
        parts.push_back(node);
      }
      pairs.push_back(graph_.text(key));
      pairs.push_back(graph_.tuple(std::move(parts)));
    }
    return graph_.dict(std::move(pairs));
  }

  /// python/cairn/torch/_planner_data.py
  Result<PickleId> decoded(const nlohmann::json& told, unsigned depth) {
    if (!told.is_object()) return pickle_of_value(graph_, told);
    const bool is_known = told.size() == 1 && told.begin()->is_array() && depth <= kNestingMax;
    if (!is_known) return fail(Code::kCorrupt, "the planner's data is not understood");
    const std::string& kind = told.begin().key();
    std::vector<PickleId> parts;
    for (const nlohmann::json& part : *told.begin()) {
      const bool is_pair = kind == "dict" && part.is_array() && part.size() == 2;
      if (kind == "dict" && !is_pair)
        return fail(Code::kCorrupt, "the planner's data is not understood");
      for (size_t i = 0; i < (is_pair ? 2 : 1); ++i) {
        CAIRN_TRY(const PickleId node, decoded(is_pair ? part[i] : part, depth + 1));
        parts.push_back(node);
      }
    }
    if (kind == "dict") return graph_.dict(std::move(parts));
    return kind == "list" ? graph_.list(std::move(parts)) : graph_.tuple(std::move(parts));
  }

  PickleGraph graph_;
};

}  // namespace

Result<Bytes> encode_dcp_metadata(const DcpMetadata& metadata) {
  return MetadataWriter().write(metadata);
}

}  // namespace cairn
