#include "lib/formats/export_plan.h"

#include <fmt/format.h>

#include <map>

#include "base/utf8.h"
#include "lib/convert.h"
#include "lib/tensor_names.h"
#include "lib/tensor_stream.h"

namespace cairn {

/// What --dtype converts: real numbers that arithmetic is done with.
static bool is_castable(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF16:
    case Dtype::kBF16:
    case Dtype::kF32:
    case Dtype::kF64:
    case Dtype::kF8E5M2:
    case Dtype::kF8E4M3:
    case Dtype::kF8E8M0:
    case Dtype::kF8E4M3Fnuz:
    case Dtype::kF8E5M2Fnuz:
      return true;
    case Dtype::kBool:
    case Dtype::kF4:
    case Dtype::kF6E2M3:
    case Dtype::kF6E3M2:
    case Dtype::kU8:
    case Dtype::kI8:
    case Dtype::kI16:
    case Dtype::kU16:
    case Dtype::kI32:
    case Dtype::kU32:
    case Dtype::kC64:
    case Dtype::kI64:
    case Dtype::kU64:
      return false;
  }
  return false;
}

static Result<ExportedTensor> plan_tensor(const TensorInfo& info, const ExportRequest& request) {
  ExportedTensor tensor;
  tensor.stored = info.name;
  tensor.info = &info;
  tensor.dtype = static_cast<Dtype>(info.dtype);
  tensor.shape = info.shape;
  if (request.float_dtype && is_castable(tensor.dtype)) {
    CAIRN_CHECK(check_convertible(tensor.dtype, *request.float_dtype));
    tensor.dtype = *request.float_dtype;
  }
  CAIRN_TRY(tensor.bytes, checked_bytes(tensor.dtype, tensor.shape));
  return tensor;
}

Result<std::vector<ExportedTensor>> plan_export(const Checkpoint& checkpoint,
                                                const ExportRequest& request) {
  std::vector<ExportedTensor> tensors;
  std::map<std::string, std::string> stored_names;  // by exported name
  CAIRN_TRY(const Renamer renamer, Renamer::compile(request.rename));
  for (const std::string& stored : request.tensors) {
    const auto number = checkpoint.find_tensor(stored);
    if (!number) return fail(Code::kNotFound, fmt::format("there is no tensor '{}'", stored));
    CAIRN_TRY(ExportedTensor tensor, plan_tensor(checkpoint.schema().tensors[*number], request));
    CAIRN_TRY(tensor.name, renamer.apply(stored));
    if (!is_utf8(tensor.name)) {
      return fail(Code::kUsage,
                  fmt::format("'{}' becomes '{}', which is not UTF-8", stored, shown(tensor.name)));
    }
    const auto [at, fresh] = stored_names.try_emplace(tensor.name, stored);
    if (!fresh) {
      return fail(Code::kUsage, fmt::format("'{}' and '{}' would both be called '{}'", at->second,
                                            stored, tensor.name));
    }
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

bool is_read_in_order(const Checkpoint& checkpoint) { return checkpoint.table().closure.empty(); }

/// Those of one parameter together: where tensors are made from each other, it is these.
static Result<std::vector<std::vector<TensorStream::Placed>>> group_tensors(
    const Checkpoint& checkpoint, const std::vector<PlacedTensor>& tensors) {
  CAIRN_TRY(const Layout layout, checkpoint.layout());
  std::map<std::pair<std::string, Shape>, size_t> places;
  std::vector<std::vector<TensorStream::Placed>> groups;
  for (const auto& [tensor, where] : tensors) {
    const auto number = static_cast<size_t>(tensor->info - checkpoint.schema().tensors.data());
    const std::string& parameter = layout.tensors[number].parameter;
    const auto [at, fresh] = parameter.empty()
                                 ? std::pair(places.end(), true)
                                 : places.try_emplace({parameter, tensor->shape}, groups.size());
    if (fresh) groups.emplace_back();
    groups[fresh ? groups.size() - 1 : at->second].push_back({tensor->info, tensor->dtype, where});
  }
  return groups;
}

Status stream_tensors(Checkpoint& checkpoint, const CallOptions& call,
                      const std::vector<PlacedTensor>& tensors,
                      const std::function<Status(uint64_t at, ByteSpan bytes)>& sink) {
  TensorStream stream(checkpoint, call, sink);
  if (is_read_in_order(checkpoint)) {
    for (const auto& [tensor, at] : tensors) {
      CAIRN_CHECK(stream.add(*tensor->info, tensor->dtype, whole_box(tensor->shape), at));
    }
  } else {
    CAIRN_TRY(const auto groups, group_tensors(checkpoint, tensors));
    for (const auto& group : groups) CAIRN_CHECK(stream.add_together(group));
  }
  return stream.flush();
}

}  // namespace cairn
