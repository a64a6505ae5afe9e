// `cairn export`: writes a tag to files.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/human.h"
#include "cli/open_place.h"
#include "cli/tensor_choice.h"
#include "lib/find_tag.h"
#include "lib/formats/export_files.h"
#include "lib/formats/torch_dtype.h"
#include "lib/tensor_names.h"

namespace cairn {

static Status warn_of_idle_renames(Output& output, const ExportRequest& request) {
  if (request.rename.empty()) return {};
  CAIRN_TRY(const Renamer renamer, Renamer::compile(request.rename));
  for (const std::string& name : request.tensors) {
    CAIRN_TRY(const std::string renamed, renamer.apply(name));
    if (renamed != name) return {};
  }
  output.warn("'--rename' changes no name");
  return {};
}

/// A file, by what its name ends in; or a folder.
static ExportFormat format_of_path(const std::string& path) {
  if (path.ends_with(".safetensors")) return ExportFormat::kSafetensors;
  static constexpr std::array<std::string_view, 3> kTorch = {".pt", ".pth", ".ckpt"};
  const bool is_torch = std::any_of(kTorch.begin(), kTorch.end(),
                                    [&](std::string_view end) { return path.ends_with(end); });
  return is_torch ? ExportFormat::kTorch : ExportFormat::kHuggingFace;
}

/// BF16, bf16 or bfloat16.
static std::optional<Dtype> dtype_of_user(std::string name) {
  if (const auto dtype = dtype_of_torch("torch." + name)) return dtype;
  std::transform(name.begin(), name.end(), name.begin(), ::toupper);
  return dtype_of_name(name);
}

static Result<ExportRequest> make_request(const Context& context, const ExportOptions& options,
                                          const Checkpoint& checkpoint) {
  if (options.path == "-") {
    return fail(Code::kUsage, "a tag cannot be exported to stdout",
                "'cairn cat' writes one tensor there; './-' is a file of that name");
  }
  ExportRequest request;
  request.path = options.path;
  request.format = options.format.value_or(format_of_path(options.path));
  for (const TensorInfo& tensor : checkpoint.schema().tensors) {
    if (is_chosen(options.tensors, tensor.name)) request.tensors.push_back(tensor.name);
  }
  if (request.tensors.empty()) {
    return none_chosen(options.tensors, fmt::format("'{}'", checkpoint.tag().name));
  }
  if (!options.dtype.empty()) {
    request.float_dtype = dtype_of_user(options.dtype);
    if (!request.float_dtype || !is_float(*request.float_dtype)) {
      return fail(Code::kUsage, fmt::format("'{}' is no floating-point dtype", options.dtype),
                  "dtypes are called as in safetensors: BF16, F16, F32, F64, ...");
    }
  }
  for (const KeyValue& rename : options.renames) {
    request.rename.push_back({rename.key, rename.value});
  }
  if (options.shard_bytes_max == 0) {
    return fail(Code::kUsage, "--max-shard-size 0 leaves no room for a tensor");
  }
  CAIRN_CHECK(warn_of_idle_renames(context.output, request));
  request.shard_bytes_max = options.shard_bytes_max;
  request.force = options.force;
  request.call.stop = &context.stop;
  return request;
}

static Result<ExportResult> run(const Context& context, const ExportOptions& options,
                                Checkpoint& checkpoint) {
  CAIRN_TRY(ExportRequest request, make_request(context, options, checkpoint));
  ProgressCounters counters;
  request.call.progress = &counters;
  const Progress progress(context.output, context.progress, "export", counters,
                          context.network.get());
  return export_files(checkpoint, request);
}

/// Of a name that was meant for a tag's.
static bool is_file(const std::string& path) {
  const auto info = posix_fs().info(path);
  return info && info->is_file && !info->is_folder;
}

int cmd_export(const Context& context, const ExportOptions& options) {
  Output& output = context.output;
  const Stopwatch watch;
  const auto store = open_store_to_read(context);
  if (!store) return output.fail(store.error());
  const auto tag = find_tag(**store, options.tag);
  if (!tag && tag.error().code == Code::kNotFound && is_file(options.tag)) {
    return output.fail(
        {tag.error().code, tag.error().message,
         fmt::format("the tag comes first, then the path: '{}' is a file", options.tag)});
  }
  if (!tag) return output.fail(tag.error());
  auto checkpoint = open_tag(**store, tag->name);
  if (!checkpoint) return output.fail(checkpoint.error());
  const auto done = run(context, options, **checkpoint);
  if (!done) return output.fail(done.error());
  for (const std::string& warning : done->warnings) output.warn(warning);
  if (output.json()) {
    output.result({{"tag", tag->name},
                   {"manifest", tag->manifest.digest.hex()},
                   {"path", options.path},
                   {"files", done->files},
                   {"tensors", done->tensors},
                   {"bytes", done->bytes},
                   {"attachments", done->attachments},
                   {"elapsed_s", watch.seconds()}});
  } else if (output.quiet()) {
    for (const std::string& file : done->files) output.print(file + "\n");
  } else {
    output.print(fmt::format("wrote '{}': {} in {} and {}, in {}\n", options.path,
                             human_bytes(done->bytes), counted(done->tensors, "tensor"),
                             counted(done->attachments, "attachment"),
                             human_duration(watch.seconds())));
  }
  return kExitOk;
}

}  // namespace cairn
