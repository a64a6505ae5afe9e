// Tensors in the graph of a file of torch.save (torch/_utils.py: _rebuild_tensor_v2 and its like).
#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"
#include "lib/formats/torch_dtype.h"
#include "lib/formats/torch_file.h"

namespace cairn {

using Kind = PickleNode::Kind;

static bool is_parameter(const PickleGraph& graph, PickleId id) {
  return graph.is_call_of(id, "torch._utils._rebuild_parameter") ||
         graph.is_call_of(id, "torch._utils._rebuild_parameter_with_state");
}

static bool has_type(const PickleGraph& graph, PickleId id) {
  return graph.is_call_of(id, "torch._tensor._rebuild_from_type_v2");
}

static bool is_rebuild(const PickleGraph& graph, PickleId callable) {
  return callable != kNoPickle && graph.at(callable).kind == Kind::kGlobal &&
         graph.at(callable).text.starts_with("torch._utils._rebuild_");
}

bool is_tensor_node(const PickleGraph& graph, PickleId id) {
  const PickleNode& node = graph.at(id);
  if (node.kind != Kind::kCall) return false;
  return is_rebuild(graph, node.callable) || has_type(graph, id);
}

PickleId inner_tensor(const PickleGraph& graph, PickleId id) {
  while (is_parameter(graph, id) && !graph.args_of(id).empty()) id = graph.args_of(id).front();
  return id;
}

namespace {

class TensorReader {
 public:
  TensorReader(const TorchFile& file, const std::string& name)
      : file_(file), graph_(file.graph), name_(name) {}

  Result<TorchTensor> read(PickleId id) {
    const PickleNode& node = graph_.at(id);
    if (!has_type(graph_, id)) return read_call(node.callable, graph_.args_of(id));
    const auto& parts = graph_.args_of(id);  // function, class, arguments, attributes
    if (parts.size() < 3) return malformed("arguments are missing");
    const bool is_plain = graph_.is_global(parts[1], "torch.Tensor") ||
                          graph_.is_global(parts[1], "torch.nn.parameter.Parameter");
    if (!is_plain) return not_stored(fmt::format("is a '{}'", shown(graph_.at(parts[1]).text)));
    return read_call(parts[0], graph_.at(parts[2]).items);
  }

 private:
  /// `what`: "is sparse", ...
  tl::unexpected<Error> refused(std::string_view what, std::string hint) const {
    return fail(Code::kUsage, fmt::format("'{}' {}", shown(name_), what), std::move(hint));
  }
  tl::unexpected<Error> malformed(std::string_view why) const {
    return refused(fmt::format("is malformed: {}", why), "");
  }
  tl::unexpected<Error> not_stored(std::string_view what) const {
    return refused(fmt::format("{}, which Cairn does not store", what),
                   "make a plain tensor of it, or leave it out");
  }
  tl::unexpected<Error> cut_off(std::string_view what) const {
    return refused(what, "the file may have been cut off while it was written or copied");
  }

  Result<TorchTensor> read_call(PickleId callable, const std::vector<PickleId>& args) {
    if (!is_rebuild(graph_, callable)) return malformed("nothing known makes it");
    const std::string& name = graph_.at(callable).text;
    const bool is_v3 = name.ends_with("_rebuild_tensor_v3");
    const bool is_v2 = name.ends_with("_rebuild_tensor_v2");
    if (name.find("sparse") != std::string::npos) return not_stored("is sparse");
    if (name.find("qtensor") != std::string::npos) return not_stored("is quantized");
    if (name.find("meta") != std::string::npos) return not_stored("is on the meta device");
    if (!is_v2 && !is_v3 && !name.ends_with("_rebuild_tensor")) {
      return not_stored(fmt::format("is made by '{}'", shown(name)));
    }
    if (args.size() < (is_v3 ? 7U : is_v2 ? 6U : 4U)) return malformed("arguments are missing");
    const size_t about = is_v3 ? 7 : 6;
    if (args.size() > about && has_bits(args[about])) return not_stored("is conjugated or negated");
    CAIRN_TRY(TorchTensor made, read_view(args, is_v3 ? args[6] : kNoPickle));
    made.requires_grad = args.size() > 4 && graph_.at(args[4]).integer != 0;
    return made;
  }

  bool has_bits(PickleId metadata) const {
    const auto is_set = [&](std::string_view key) {
      const PickleId value = graph_.value_of(metadata, key);
      return value != kNoPickle && graph_.at(value).integer != 0;
    };
    return is_set("conj") || is_set("neg");
  }

  /// Storage, offset, lengths, strides.
  Result<TorchTensor> read_view(const std::vector<PickleId>& args, PickleId dtype) {
    if (graph_.at(args[0]).kind != Kind::kPersistent) return malformed("it lies in no storage");
    const auto& place = graph_.at(graph_.at(args[0]).items.front()).items;
    if (place.size() < 5) return malformed("it lies in no storage");
    TorchTensor made;
    const PickleId type = dtype == kNoPickle ? place[1] : dtype;
    const std::string& type_name = graph_.at(type).text;
    const auto known = dtype == kNoPickle ? dtype_of_storage(type_name) : dtype_of_torch(type_name);
    if (!known) return not_stored(fmt::format("is of '{}'", shown(type_name)));
    made.dtype = *known;
    const bool is_view = place.size() > 5 && graph_.at(place[5]).items.size() == 3;
    made.storage = graph_.at(is_view ? graph_.at(place[5]).items[0] : place[2]).text;
    CAIRN_TRY(const ByteSpan storage, find_storage(made.storage));
    CAIRN_CHECK(read_numbers(args[2], made.shape));
    std::vector<uint64_t> strides;
    CAIRN_CHECK(read_numbers(args[3], strides));
    if (strides.size() != made.shape.size()) return malformed("it has other strides than axes");
    const PickleNode& offset = graph_.at(args[1]);
    if (offset.kind != Kind::kInt || offset.integer < 0)
      return malformed("its offset is no number");
    CAIRN_CHECK(place_in(storage, static_cast<uint64_t>(offset.integer), strides, made));
    return made;
  }

  Result<ByteSpan> find_storage(const std::string& key) const {
    const auto found = file_.storages.find(key);
    if (found != file_.storages.end()) return found->second;
    return cut_off(fmt::format("lies in the storage '{}', which is missing", shown(key)));
  }

  /// Of a tuple, or of a torch.Size.
  Status read_numbers(PickleId id, std::vector<uint64_t>& numbers) const {
    if (graph_.is_call_of(id, "torch.Size") && !graph_.args_of(id).empty()) {
      id = graph_.args_of(id).front();
    }
    const PickleNode& node = graph_.at(id);
    if (node.kind != Kind::kTuple) return malformed("its shape is no tuple");
    for (const PickleId item : node.items) {
      const PickleNode& number = graph_.at(item);
      if (number.kind != Kind::kInt || number.integer < 0)
        return malformed("its shape is malformed");
      numbers.push_back(static_cast<uint64_t>(number.integer));
    }
    return {};
  }

  /// The last element decides how far the view goes.
  Status place_in(ByteSpan storage, uint64_t offset, const std::vector<uint64_t>& strides,
                  TorchTensor& made) const {
    CAIRN_TRY(const uint64_t bytes, checked_bytes(made.dtype, made.shape));
    const uint64_t item = bits_per_element(made.dtype) / 8;
    std::optional<uint64_t> last = offset;
    for (size_t axis = 0; axis < strides.size() && bytes != 0; ++axis) {
      const auto way = checked_mul(made.shape[axis] - 1, strides[axis]);
      last = last && way ? checked_add(*last, *way) : std::nullopt;
    }
    const auto count = last ? checked_add(*last, uint64_t{1}) : std::nullopt;
    const auto end = count ? checked_mul(*count, item) : std::nullopt;
    if (bytes != 0 && (!end || *end > storage.size())) {
      return cut_off("leaves its storage");
    }
    for (const uint64_t stride : strides) {
      made.strides_bytes.push_back(bytes == 0 ? 0 : static_cast<int64_t>(stride * item));
    }
    made.data = bytes == 0 ? storage.data() : storage.data() + offset * item;
    return {};
  }

  const TorchFile& file_;
  const PickleGraph& graph_;
  const std::string& name_;
};

}  // namespace

Result<std::optional<TorchTensor>> tensor_at(const TorchFile& file, PickleId id,
                                             const std::string& name) {
  if (!is_tensor_node(file.graph, id)) return std::optional<TorchTensor>();
  CAIRN_TRY(TorchTensor tensor, TensorReader(file, name).read(inner_tensor(file.graph, id)));
  return std::optional(std::move(tensor));
}

}  // namespace cairn
