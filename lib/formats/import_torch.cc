// Files of torch.save as the sources of a save.
#include <fmt/format.h>

#include "lib/formats/import_sources.h"
#include "lib/formats/pickle_names.h"

namespace cairn {

Status add_torch(ImportSources& sources, const std::string& path) {
  CAIRN_TRY(const ByteSpan bytes, sources.map(path));
  CAIRN_TRY(const TorchFile file, parse_torch_file(bytes, path));
  if (!sources.request().allow_pickle) {
    CAIRN_CHECK(check_plain(file.graph, fmt::format("'{}'", path)));
  }
  CAIRN_TRY(TakenState taken, take_state(file, path));
  for (const NamedTensor& named : taken.tensors) {
    const Shape& shape = named.tensor.shape;
    CAIRN_CHECK(sources.add_tensor(named.name, named.tensor, shape, whole_box(shape), path));
  }
  auto left_out = what_structure_leaves_out(file, taken);
  if (!left_out) {
    return tl::unexpected(with_context(left_out.error(), fmt::format("reading '{}'", path)));
  }
  CAIRN_CHECK(sources.add_state(std::move(taken.root), path));
  sources.add_pickles(*std::move(left_out), std::move(taken.objects));
  return {};
}

}  // namespace cairn
