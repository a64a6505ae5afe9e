// `cairn forget`: takes tags out of the store, by name or by a policy.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/commands.h"
#include "cli/confirm.h"
#include "cli/exit_codes.h"
#include "cli/gc_run.h"
#include "cli/human.h"
#include "cli/open_place.h"
#include "cli/signals.h"
#include "cli/table.h"
#include "cli/tag_json.h"
#include "cli/tensor_choice.h"
#include "lib/find_tag.h"
#include "lib/tensor.h"
#include "store/checkpoint.h"
#include "store/forget.h"
#include "store/tag_name.h"
#include "store/thin.h"

namespace cairn {

static Status check_request(const ForgetOptions& options) {
  if (!options.tags.empty() && !options.policy.is_empty()) {
    return fail(Code::kUsage, "tags and a policy cannot go together: only one can say what stays");
  }
  if (options.tags.empty() && options.policy.is_empty()) {
    return fail(Code::kUsage, "an empty policy would forget all tags but the newest",
                "name tags, or say what to keep: '--keep-last 10', for example");
  }
  if (options.tags.empty() && (options.allow_newest || options.allow_pinned)) {
    return fail(Code::kUsage, "a policy keeps pinned tags and the newest of each group anyway",
                "name the tags that shall go all the same");
  }
  if (!options.drop.empty() && (options.allow_newest || options.allow_pinned)) {
    return fail(Code::kUsage, "'--drop' never touches pinned tags and the newest of a group");
  }
  return {};
}

/// A pattern where names are taken gets a word about it.
static Result<TagEntry> find_named(const Store& store, const std::string& text) {
  auto tag = find_tag(store, text);
  if (tag || tag.error().code != Code::kNotFound || text.find_first_of("*?[") == text.npos) {
    return tag;
  }
  return fail(Code::kNotFound, fmt::format("'{}' is no tag, and patterns are not taken here", text),
              fmt::format("name the tags: $(cairn ls -q '{}')", text));
}

/// The newest tag of its group, by commit.
static bool is_newest(const TagList& list, const TagEntry& tag, bool by_prefix) {
  return std::none_of(list.tags.begin(), list.tags.end(), [&](const TagEntry& other) {
    const bool same_group = !by_prefix || tag_prefix(other.name) == tag_prefix(tag.name);
    return same_group && other.commit > tag.commit;
  });
}

static Result<std::vector<RetentionVerdict>> judge_by_name(const Store& store, const TagList& list,
                                                           const ForgetOptions& options) {
  std::set<std::string> named;
  for (const std::string& text : options.tags) {
    CAIRN_TRY(const TagEntry tag, find_named(store, text));
    if (tag.pinned && !options.allow_pinned) {
      return fail(Code::kProtected,
                  fmt::format("the tag '{}' is pinned; nothing was removed", tag.name),
                  options.drop.empty() ? "'cairn unpin' it first, or allow it by '--allow-pinned'"
                                       : "'cairn unpin' it first");
    }
    if (!options.allow_newest && is_newest(list, tag, options.policy.group_by_prefix)) {
      return fail(
          Code::kProtected,
          fmt::format("the tag '{}' is the newest of its group; nothing was removed", tag.name),
          options.drop.empty() ? "allow it by '--allow-newest'" : "save a newer one first");
    }
    named.insert(tag.name);
  }
  std::vector<RetentionVerdict> verdicts;
  for (const TagEntry& tag : list.tags) {
    const bool kept = !named.contains(tag.name);
    verdicts.push_back({tag.name, kept, {kept ? "not named" : "named"}});
  }
  return verdicts;
}

static Result<std::vector<RetentionVerdict>> judge_by_policy(const Store& store,
                                                             const TagList& list,
                                                             const RetentionPolicy& policy) {
  std::vector<RetentionTag> tags;
  for (const TagEntry& tag : list.tags) {
    RetentionTag known{tag.name, tag.commit, tag.created_ns, tag.step, tag.pinned, {}};
    if (!policy.best.empty()) {
      CAIRN_TRY(const Manifest manifest, read_manifest(store, tag));
      known.metadata = merged_metadata(manifest);
    }
    tags.push_back(std::move(known));
  }
  const auto unmatched = unmatched_rules(tags, policy);
  if (!unmatched.empty() && !tags.empty()) {
    return fail(Code::kNotFound, fmt::format("{}; nothing was removed", fmt::join(unmatched, ", ")),
                "a misspelt rule keeps nothing: mend it, or leave it out");
  }
  return apply_policy(tags, policy);
}

static nlohmann::ordered_json rows(const std::vector<RetentionVerdict>& verdicts, bool kept) {
  auto rows = nlohmann::ordered_json::array();
  for (const RetentionVerdict& verdict : verdicts) {
    if (verdict.kept == kept) rows.push_back({{"tag", verdict.tag}, {"reasons", verdict.reasons}});
  }
  return rows;
}

/// Of a policy all tags; of tags that were named these.
static void print_plan(Output& output, const std::vector<RetentionVerdict>& verdicts,
                       const ForgetOptions& options, const std::vector<ThinnedTag>& thinned) {
  if (output.json() || output.quiet()) return;
  std::set<std::string> thin;
  for (const ThinnedTag& tag : thinned) thin.insert(tag.before.name);
  Table table({{"tag"}, {""}, {"why"}});
  for (const RetentionVerdict& verdict : verdicts) {
    if (verdict.kept && !options.tags.empty()) continue;
    const std::string why = fmt::format("{}", fmt::join(verdict.reasons, ", "));
    if (verdict.kept || options.drop.empty()) {
      table.add_row({verdict.tag, verdict.kept ? "keep" : "forget", why});
    } else {
      const bool is_thinned = thin.contains(verdict.tag);
      table.add_row({verdict.tag, is_thinned ? "thin" : "keep",
                     is_thinned ? why : "has none of these tensors"});
    }
  }
  if (!table.empty()) output.print(table.render());
}

static void print_result(Output& output, const std::vector<RetentionVerdict>& verdicts,
                         const std::vector<TagEntry>& removed, const std::optional<GcReport>& freed,
                         bool dry_run) {
  if (output.json()) {
    nlohmann::ordered_json result = {
        {"kept", rows(verdicts, true)}, {"removed", rows(verdicts, false)}, {"dry_run", dry_run}};
    if (freed) result["gc"] = gc_json(*freed, dry_run);
    output.result(result);
  } else if (output.quiet()) {
    for (const TagEntry& tag : removed) output.print(tag.name + "\n");
  } else {
    output.print(fmt::format("{} {} of {}\n", dry_run ? "would forget" : "forgot", removed.size(),
                             counted(verdicts.size(), "tag")));
    if (freed) output.print(gc_text(*freed, dry_run));
    if (!freed && !dry_run && !removed.empty()) {
      output.note("their space comes back with 'cairn gc'");
    }
  }
}

static Result<uint64_t> tensor_bytes(const TensorInfo& tensor) {
  return checked_bytes(static_cast<Dtype>(tensor.dtype), tensor.shape);
}

static void print_thinned(Output& output, const std::vector<RetentionVerdict>& verdicts,
                          const std::vector<ThinnedTag>& thinned,
                          const std::optional<GcReport>& freed, const ForgetOptions& options) {
  const bool dry_run = options.dry_run;
  if (output.json()) {
    nlohmann::ordered_json result = {{"kept", rows(verdicts, true)},
                                     {"removed", nlohmann::ordered_json::array()},
                                     {"thinned", nlohmann::ordered_json::array()},
                                     {"dry_run", dry_run}};
    for (const ThinnedTag& tag : thinned) {
      result["thinned"].push_back({{"tag", tag.before.name},
                                   {"dropped_tensors", tag.tensors()},
                                   {"dropped_bytes", tag.logical_bytes()}});
    }
    if (freed) result["gc"] = gc_json(*freed, dry_run);
    if (options.gc && !freed) result["gc"] = nullptr;
    output.result(result);
    return;
  }
  uint64_t bytes = 0;
  for (const ThinnedTag& tag : thinned) {
    bytes += tag.logical_bytes();
    if (output.quiet()) output.print(tag.before.name + "\n");
  }
  if (output.quiet()) return;
  output.print(fmt::format("{} {} of {}, by {} in all\n", dry_run ? "would thin" : "thinned",
                           thinned.size(), counted(verdicts.size(), "tag"), human_bytes(bytes)));
  if (freed) output.print(gc_text(*freed, dry_run));
  if (options.gc && !freed) {
    output.note(
        "what gc would free is not known before the tags are thinned: other tags may share it");
  }
}

/// What a collection frees, or would free once the tags are gone.
static Result<std::optional<GcReport>> collect_after(const Context& context, const Store& store,
                                                     const ForgetOptions& options,
                                                     const std::vector<TagEntry>& removed) {
  if (!options.gc) return std::optional<GcReport>();
  GcOptions how;
  how.wait_s = options.wait_s;
  if (!options.dry_run) {
    CAIRN_TRY(GcReport report, run_gc(context, store, how));
    return std::optional(std::move(report));
  }
  GcRequest request = gc_request(how);
  for (const TagEntry& tag : removed) request.without.insert(tag.name);
  CAIRN_TRY(GcReport plan, plan_collection(store, request));
  return std::optional(std::move(plan));
}

/// A pattern that no tag ever had a tensor for is misspelt. Tags that were thinned before had some.
static Status refuse_idle_drop(const Store& store, const TagList& list,
                               const ForgetOptions& options) {
  for (const TagEntry& tag : list.tags) {
    if (tag.facts.dropped_tensors != 0) return {};
    CAIRN_TRY(const auto checkpoint, open_tag(store, tag.name));
    for (const TensorInfo& tensor : checkpoint->schema().tensors) {
      if (is_chosen(options.drop, tensor.name)) return {};
    }
  }
  return none_chosen(options.drop, "any tag");
}

/// Takes the tensors out of the tags that would else be forgotten.
static Result<int> thin(const Context& context, const Store& store, const ForgetOptions& options,
                        const TagList& list, const std::vector<RetentionVerdict>& verdicts,
                        const std::vector<TagEntry>& tags) {
  const Wait wait = stoppable_wait(options.wait_s);
  CAIRN_TRY(auto thinned, thin_tags(store, tags, options.drop, tensor_bytes, true, wait));
  if (thinned.empty() && !tags.empty()) CAIRN_CHECK(refuse_idle_drop(store, list, options));
  print_plan(context.output, verdicts, options, thinned);
  if (!options.dry_run && !thinned.empty()) {
    uint64_t tensors = 0;
    for (const ThinnedTag& tag : thinned) tensors += tag.tensors();
    CAIRN_CHECK(confirm(
        context.output,
        fmt::format("Drop {} from {}?", counted(tensors, "tensor"), counted(thinned.size(), "tag")),
        options.yes));
    CAIRN_TRY(thinned, thin_tags(store, tags, options.drop, tensor_bytes, false, wait));
  }
  std::optional<GcReport> freed;
  if (!options.dry_run) {
    CAIRN_TRY(freed, collect_after(context, store, options, {}));
  }
  print_thinned(context.output, verdicts, thinned, freed, options);
  return freed ? gc_status(context.output, *freed) : int{kExitOk};
}

static Result<int> run(const Context& context, const ForgetOptions& options) {
  CAIRN_CHECK(check_request(options));
  CAIRN_TRY(const auto store, open_store_to_write(context));
  // Before a tag is gone.
  if (options.gc) CAIRN_CHECK(check_may_collect_in(*store));
  CAIRN_TRY(TagList list, store->read_tags());
  std::sort(list.tags.begin(), list.tags.end(),
            [](const TagEntry& a, const TagEntry& b) { return a.commit > b.commit; });
  CAIRN_TRY(const auto verdicts, options.tags.empty()
                                     ? judge_by_policy(*store, list, options.policy)
                                     : judge_by_name(*store, list, options));
  std::vector<TagEntry> removed;
  for (size_t i = 0; i < verdicts.size(); ++i) {
    if (!verdicts[i].kept) removed.push_back(list.tags[i]);
  }
  Output& output = context.output;
  if (!options.drop.empty()) return thin(context, *store, options, list, verdicts, removed);
  print_plan(output, verdicts, options, {});
  if (!options.dry_run && !removed.empty()) {
    uint64_t bytes = 0;
    for (const TagEntry& tag : removed) bytes += tag.facts.stored_bytes;
    CAIRN_CHECK(confirm(output,
                        fmt::format("Forget {} of {}, which added {} to the disk?", removed.size(),
                                    counted(list.tags.size(), "tag"), human_bytes(bytes)),
                        options.yes));
    CAIRN_TRY(removed,
              forget_tags(*store, removed, options.allow_pinned, stoppable_wait(options.wait_s)));
  }
  CAIRN_TRY(const auto freed, collect_after(context, *store, options, removed));
  print_result(output, verdicts, removed, freed, options.dry_run);
  return freed ? gc_status(output, *freed) : int{kExitOk};
}

int cmd_forget(const Context& context, const ForgetOptions& options) {
  const auto status = run(context, options);
  return status ? *status : context.output.fail(status.error());
}

}  // namespace cairn
