#include "lib/formats/pickle_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/utf8.h"
#include "lib/formats/torch_dtype.h"

namespace cairn {

template <size_t N>
static bool is_among(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_plain_name(std::string_view name) {
  static constexpr std::array<std::string_view, 25> kNames = {
      "collections.OrderedDict",
      "collections.Counter",
      "torch.nn.parameter.Parameter",
      "torch.serialization._get_layout",
      "torch.Size",
      "torch.Tensor",
      "torch.device",
      "_codecs.encode",
      "builtins.bytearray",
      "builtins.set",
      "builtins.frozenset",
      "builtins.complex",
      "torch._tensor._rebuild_from_type_v2",
      "torch._utils._rebuild_parameter",
      "torch._utils._rebuild_parameter_with_state",
      "torch._utils._rebuild_tensor",
      "torch._utils._rebuild_tensor_v2",
      "torch._utils._rebuild_tensor_v3",
      "torch._utils._rebuild_qtensor",
      "torch._utils._rebuild_sparse_tensor",
      "torch._utils._rebuild_meta_tensor_no_storage",
      "torch.per_tensor_affine",
      "torch.per_tensor_symmetric",
      "torch.per_channel_affine",
      "torch.per_channel_affine_float_qparams",
  };
  return is_among(kNames, name) || is_torch_dtype(name) || is_torch_storage(name);
}

bool is_metadata_name(std::string_view name) {
  static constexpr std::array<std::string_view, 5> kNames = {
      "torch.serialization._get_layout", "torch.Size",
      "pathlib.PosixPath",  // of a checkpoint's id
      "pathlib._local.PosixPath", "collections.OrderedDict"};
  static constexpr std::array<std::string_view, 2> kModules = {
      "torch.distributed.checkpoint.", "torch.distributed._shard.sharded_tensor.metadata."};
  return is_among(kNames, name) || is_torch_dtype(name) ||
         std::any_of(kModules.begin(), kModules.end(),
                     [&](std::string_view module) { return name.starts_with(module); });
}

Status check_names(const PickleGraph& graph, bool (*is_known)(std::string_view),
                   const std::string& what) {
  for (PickleId id = 0; id < graph.size(); ++id) {
    const PickleNode& node = graph.at(id);
    if (node.kind != PickleNode::Kind::kGlobal || is_known(node.text)) continue;
    return fail(Code::kUsage,
                fmt::format("{} holds a pickle that names '{}', which is neither a tensor nor a "
                            "plain value; nothing of it was run",
                            what, shown(node.text)));
  }
  return {};
}

Status check_plain(const PickleGraph& graph, const std::string& what) {
  Status status = check_names(graph, is_plain_name, what);
  if (!status) status.error().hint = "'--allow-pickle' keeps such objects as they are, unread";
  return status;
}

}  // namespace cairn
