// `cairn import`: saves files as one tag.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "base/process.h"
#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/human.h"
#include "cli/import_roles.h"
#include "cli/lazy_look_up.h"
#include "cli/open_place.h"
#include "cli/signals.h"
#include "lib/find_tag.h"
#include "lib/formats/import_files.h"
#include "lib/formats/import_memory.h"
#include "lib/save_json.h"
#include "store/forget.h"
#include "store/tag_name.h"

namespace cairn {

/// The name that a save takes: `@newest` is one for people.
static Result<std::optional<std::string>> base_name(const Store& store, const std::string& base) {
  if (base.empty()) return std::optional<std::string>();
  if (base == "none") return std::optional(base);
  CAIRN_TRY(const TagEntry tag, find_tag(store, base));
  return std::optional(tag.name);
}

/// Of a name that was meant for a tag's.
static bool is_file(const std::string& path) {
  const auto info = posix_fs().info(path);
  return info && info->is_file && !info->is_folder;
}

static Result<SaveRequest> make_request(const Context& context, const Store& store,
                                        const ImportOptions& options, ImportFiles& files) {
  SaveRequest request;
  request.tag = options.tag;
  CAIRN_CHECK(check_tag_name(options.tag));
  auto opened = open_import(posix_fs(), {options.paths, options.allow_pickle, options.layout});
  if (!opened && opened.error().code == Code::kNotFound && is_file(options.tag)) {
    opened.error().hint =
        fmt::format("the tag comes first, then files: '{}' is a file", options.tag);
  }
  CAIRN_TRY(files, std::move(opened));
  for (const KeyValue& attachment : options.attachments) {
    CAIRN_CHECK(add_attachment(files, attachment.key, attachment.value));
  }
  for (const std::string& warning : files.warnings) context.output.warn(warning);
  request.attachments = files.attachments;
  request.file_metadata = files.file_metadata;
  for (const KeyValue& item : options.metadata) {
    if (!request.metadata.emplace(item.key, item.value).second) {
      return fail(Code::kUsage, fmt::format("the metadata '{}' is given twice", item.key));
    }
  }
  Metadata known = files.file_metadata;
  for (const auto& [key, value] : request.metadata) known[key] = value;
  if (options.roles == "auto") warn_of_facts(context.output, request.metadata);
  CAIRN_CHECK(import_roles(context.output, options.roles, known, files.tensors, request.optimizer));
  request.tensors = files.tensors;
  request.effort = options.effort;
  request.restore_budget = options.restore_budget;
  request.weights_every = options.weights_every;
  if (options.weights_direct) request.weights_every = 1;
  request.pinned = options.pin;
  if (options.step) request.step = static_cast<int64_t>(*options.step);
  CAIRN_TRY(request.base, base_name(store, options.base));
  request.if_exists = options.if_exists;
  request.are_still = true;  // or so the files say at the end
  request.check_sources = [&files] { return check_unchanged(files); };
  request.call.stop = &context.stop;
  request.call.wait = std::chrono::seconds(options.wait_s);
  return request;
}

static void warn_of_damage(Output& output, const SaveResult& saved) {
  if (saved.damaged_base.empty()) return;
  const std::string lost =
      saved.unread_chunks == 0
          ? "it could not be compared with, and all chunks were stored whole"
          : fmt::format("{} could not be read; what differs there is stored whole",
                        counted(saved.unread_chunks, "chunk"));
  output.warn(
      fmt::format("the base tag '{}' is damaged ({}); 'cairn check --read-data' names the "
                  "damage",
                  saved.damaged_base, lost));
}

static void print(Output& output, const SaveResult& saved) {
  const TagFacts& facts = saved.facts;
  if (output.json()) {
    output.result(save_json(saved));
  } else if (output.quiet()) {
    output.print(saved.tag + "\n");
  } else {
    output.print(fmt::format("{} '{}': {} in {}, {} new, {} stored, in {}\n",
                             saved.already_there ? "already there" : "saved", saved.tag,
                             human_bytes(facts.logical_bytes), counted(facts.tensors, "tensor"),
                             human_bytes(facts.new_bytes), human_bytes(facts.stored_bytes),
                             human_duration(saved.elapsed_s)));
  }
}

int cmd_import(const Context& context, const ImportOptions& options) {
  Output& output = context.output;
  const auto store = open_store_to_write(context);
  if (!store) return output.fail(store.error());
  report_shrunken_input();
  raise_file_limit();  // each file stays open until it was saved
  ImportFiles files;
  auto request = make_request(context, **store, options, files);
  if (!request) return output.fail(request.error());
  request->look_up = lazy_look_up(output, context.store, "saving");
  ProgressCounters counters;
  request->call.progress = &counters;
  std::optional<Progress> progress;
  progress.emplace(output, context.progress, "import", counters);
  const auto saved = [&] {
    const ImportMemory memory(files);
    return save(**store, *request);
  }();
  progress.reset();
  if (!saved) return output.fail(saved.error());
  if (options.pin && saved->already_there) {
    const auto pinned = pin_tag(**store, saved->tag, true, stoppable_wait(options.wait_s));
    if (!pinned) return output.fail(pinned.error());
  }
  warn_of_damage(output, *saved);
  for (const std::string& warning : saved->warnings) output.warn(warning);
  print(output, *saved);
  return kExitOk;
}

}  // namespace cairn
