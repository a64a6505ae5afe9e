// `cairn cat`: the bytes of a tensor or attachment. What comes before an error is a true prefix:
// every slab was checked before it is written.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "base/suggest.h"
#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/open_place.h"
#include "lib/cairn.hpp"
#include "lib/find_tag.h"
#include "lib/tensor_stream.h"
#include "store/checkpoint.h"

namespace cairn {

static Result<Box> resolve_box(const std::vector<AxisRange>& ranges, const Shape& shape) {
  if (ranges.size() != shape.size()) {
    return fail(Code::kUsage, fmt::format("the box has {} axes, the tensor's shape {} has {}",
                                          ranges.size(), shape_text(shape), shape.size()));
  }
  Box box = whole_box(shape);
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    const uint64_t start = ranges[axis].start.value_or(0);
    const uint64_t stop = ranges[axis].stop.value_or(shape[axis]);
    if (start > stop || stop > shape[axis]) {
      return fail(Code::kUsage, fmt::format("{}:{} does not lie in axis {} of shape {}", start,
                                            stop, axis, shape_text(shape)));
    }
    box.offsets[axis] = start;
    box.lengths[axis] = stop - start;
  }
  return box;
}

static Status write_tensor(const Context& context, Checkpoint& checkpoint, const TensorInfo& tensor,
                           const Box& box) {
  CallOptions call;
  call.stop = &context.stop;
  bool has_reader = true;
  TensorStream stream(checkpoint, call, [&](uint64_t, ByteSpan bytes) -> Status {
    has_reader = context.output.write(bytes);
    return has_reader ? Status() : fail(Code::kCancelled, "nobody reads stdout any more");
  });
  Status done = stream.add(tensor, static_cast<Dtype>(tensor.dtype), box, 0);
  if (done) done = stream.flush();
  return has_reader ? done : Status();
}

static Status cat_tensor(const Context& context, const CatOptions& options, Checkpoint& checkpoint,
                         const TensorInfo& tensor) {
  Box box = whole_box(tensor.shape);
  if (options.box) {
    CAIRN_TRY(box, resolve_box(*options.box, tensor.shape));
  }
  if (!context.output.json()) return write_tensor(context, checkpoint, tensor, box);
  const auto dtype = static_cast<Dtype>(tensor.dtype);
  CAIRN_TRY(const uint64_t bytes, checked_bytes(dtype, box.lengths));
  context.output.result({{"tag", checkpoint.tag().name},
                         {"name", tensor.name},
                         {"bytes", bytes},
                         {"dtype", dtype_name(dtype)},
                         {"shape", box.lengths}});
  return {};
}

static Status cat_attachment(const Context& context, const CatOptions& options,
                             Checkpoint& checkpoint, const AttachmentInfo& attachment) {
  if (options.box) {
    return fail(Code::kUsage,
                fmt::format("'{}' is an attachment: it has no boxes", attachment.name));
  }
  if (context.output.json()) {
    context.output.result(
        {{"tag", checkpoint.tag().name}, {"name", attachment.name}, {"bytes", attachment.bytes}});
    return {};
  }
  return read_attachment(checkpoint, attachment.name, [&](ByteSpan part) -> Status {
    (void)context.output.write(part);
    return {};
  });
}

static tl::unexpected<Error> none_of_that_name(const CatOptions& options,
                                               const Checkpoint& checkpoint) {
  const std::string& tag = checkpoint.tag().name;
  std::vector<std::string> names;
  for (const auto& attachment : checkpoint.manifest().attachments) names.push_back(attachment.name);
  if (!options.attachment) {
    for (const TensorInfo& other : checkpoint.schema().tensors) names.push_back(other.name);
  }
  std::string hint = did_you_mean(options.name, names);
  if (options.attachment && checkpoint.find_tensor(options.name)) {
    hint = "there is a tensor of that name: leave '--attachment' out";
  }
  if (hint.empty()) hint = fmt::format("'cairn show {}' lists the names", tag);
  return fail(Code::kNotFound,
              fmt::format("'{}' has no {} '{}'", tag,
                          options.attachment ? "attachment" : "tensor or attachment", options.name),
              hint);
}

static Status run(const Context& context, const CatOptions& options) {
  CAIRN_TRY(const auto store, open_store_to_read(context));
  CAIRN_TRY(const TagEntry tag, find_tag(*store, options.tag));
  CAIRN_TRY(const auto checkpoint, open_tag(*store, tag.name));
  const auto tensor = options.attachment ? std::nullopt : checkpoint->find_tensor(options.name);
  if (tensor) {
    return cat_tensor(context, options, *checkpoint, checkpoint->schema().tensors[*tensor]);
  }
  if (const auto attachment = checkpoint->find_attachment(options.name)) {
    return cat_attachment(context, options, *checkpoint, checkpoint->attachment(*attachment));
  }
  return none_of_that_name(options, *checkpoint);
}

int cmd_cat(const Context& context, const CatOptions& options) {
  const Status done = run(context, options);
  return done ? kExitOk : context.output.fail(done.error());
}

}  // namespace cairn
