#include "cli/transfer_run.h"

#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/exit_codes.h"
#include "cli/human.h"
#include "lib/find_tag.h"
#include "store/remote/rate_limit.h"

namespace cairn {
namespace {

using Json = nlohmann::ordered_json;

/// What a transfer took of the network, both ways.
struct Traffic {
  uint64_t bytes = 0, retries = 0;
};

Traffic traffic_of(const remote::RemoteCounters& network) {
  return {network.read_bytes + network.written_bytes, network.retries};
}

struct Moved {
  TransferResult result;
  Traffic traffic;
};

Json transfer_json(const Moved& all, bool dry_run) {
  const TransferResult& moved = all.result;
  const TagFacts& facts = moved.facts;
  return {{"tag", moved.tag},
          {"manifest", moved.manifest.hex()},
          {"tensors", facts.tensors},
          {"logical_bytes", facts.logical_bytes},
          {"new_bytes", facts.new_bytes},
          {"reused_bytes", moved.reused_bytes},
          {"stored_bytes", facts.stored_bytes},
          {"received_bytes", moved.received_bytes},
          {"network_bytes", all.traffic.bytes},
          {"retries", all.traffic.retries},
          {"moved_bytes", moved.moved_bytes},
          {"resumed_bytes", moved.resumed_bytes},
          {"attachment_bytes", facts.attachment_bytes},
          {"chunks", facts.chunks},
          {"new_chunks", facts.new_chunks},
          {"alone_chunks", moved.alone_chunks},
          {"already_there", moved.already_there},
          {"base", moved.base.empty() ? Json() : Json(moved.base)},
          {"dry_run", dry_run},
          {"left", moved.left},
          {"notes", moved.notes},
          {"elapsed_s", moved.elapsed_s}};
}

/// "1.5 GiB/s", of a duration that says something, and of what moved in it.
std::string rate_text(const TransferResult& moved) {
  const uint64_t bytes = moved.moved_bytes - std::min(moved.moved_bytes, moved.resumed_bytes);
  if (moved.elapsed_s < 0.1 || bytes == 0) return "";
  const double rate = static_cast<double>(bytes) / moved.elapsed_s;
  return fmt::format(" ({}/s)", human_bytes(static_cast<uint64_t>(rate)));
}

std::string resumed_text(const TransferResult& moved, const char* how) {
  if (moved.resumed_bytes == 0) return "";
  return fmt::format(" ({} of them {} an earlier call)", human_bytes(moved.resumed_bytes), how);
}

/// "79.7 MiB moved", and what else there is to say of them.
std::string moved_text(const TransferResult& moved) {
  std::string text = human_bytes(moved.moved_bytes) + " moved";
  if (moved.moved_bytes > moved.facts.logical_bytes) text += " with what it is made from";
  return text + resumed_text(moved, "by");
}

std::string would_text(const TransferResult& moved, const TransferWords& words,
                       const std::string& base) {
  const bool is_much = moved.moved_bytes > moved.facts.logical_bytes;
  return fmt::format("would {} '{}': {}{}{} of {}{}\n", words.title, moved.tag,
                     human_bytes(moved.moved_bytes), resumed_text(moved, "left by"),
                     is_much ? ", with what it is made from," : "",
                     human_bytes(moved.facts.logical_bytes), base);
}

/// Retries, and what went over the network where that is much more than what was wanted, as from a
/// server without ranges. Metadata alone is not worth a word.
std::string traffic_text(const Moved& all) {
  constexpr uint64_t kNotWorthAWord = 16 * kMiB;
  const bool is_much = all.traffic.bytes > all.result.received_bytes * 5 / 4 + kNotWorthAWord;
  const std::string bytes =
      is_much ? fmt::format(", {} over the network", human_bytes(all.traffic.bytes)) : "";
  return bytes + retries_text(all.traffic.retries);
}

std::string transfer_text(const Moved& all, const TransferWords& words, bool dry_run) {
  const TransferResult& moved = all.result;
  if (moved.already_there) return fmt::format("already there '{}'\n", moved.tag);
  const std::string base = moved.base.empty() ? "" : fmt::format(", beside '{}'", moved.base);
  if (dry_run) return would_text(moved, words, base);
  if (!moved.left.empty()) {
    return fmt::format("a share of '{}' has arrived: {} in {}\n", moved.tag,
                       human_bytes(moved.received_bytes), human_duration(moved.elapsed_s));
  }
  return fmt::format("{} '{}': {} in {}, {}, {} stored{}, in {}{}{}\n", words.done, moved.tag,
                     human_bytes(moved.facts.logical_bytes), counted(moved.facts.tensors, "tensor"),
                     moved_text(moved), human_bytes(moved.facts.stored_bytes), base,
                     human_duration(moved.elapsed_s), rate_text(moved), traffic_text(all));
}

bool is_one(const TransferOptions& options) { return !options.all && options.tags.size() == 1; }

TransferRequest request_of(const TagEntry& tag, const TransferOptions& options) {
  TransferRequest request;
  request.tag = tag.name;
  request.as = options.as;
  request.tensors = options.tensors;
  request.rebase = options.rebase;
  request.if_exists = options.if_exists;
  request.dry_run = options.dry_run;
  request.share = options.share;
  request.connections = options.connections;
  request.memory_bytes = options.memory_bytes;
  return request;
}

/// Oldest first: what a tag is made from comes before it. Errors: kUsage, kNotFound.
Result<std::vector<TagEntry>> named_tags(const Store& from, const TransferOptions& options,
                                         const TransferWords& words) {
  if (options.all != options.tags.empty()) {
    return fail(Code::kUsage,
                options.all ? "tags are named, and '--all' is all of them" : "no tag is named",
                fmt::format("say 'cairn {} URL TAG', or '--all'", words.title));
  }
  const bool is_part = !options.tensors.empty();
  if (is_part != !options.as.empty() || (is_part && !is_one(options))) {
    return fail(Code::kUsage, "a part of a tag comes as a tag of its own",
                fmt::format("say 'cairn {} URL TAG --tensors GLOB --as NEWTAG'", words.title));
  }
  std::vector<TagEntry> tags;
  if (options.all) {
    CAIRN_TRY(TagList list, from.read_tags());
    tags = std::move(list.tags);
  }
  for (const std::string& text : options.tags) {
    auto tag = find_tag(from, text);
    const bool is_glob = text.find_first_of("*?[") != std::string::npos;
    if (!tag && tag.error().code == Code::kNotFound && is_glob) {
      tag.error().hint = fmt::format(
          "tags are named one by one ('cairn -s {} ls -q GLOB' lists "
          "names), or all by '--all'",
          from.path());
    }
    CAIRN_TRY(tags.emplace_back(), std::move(tag));
  }
  const auto is_older = [](const TagEntry& a, const TagEntry& b) { return a.commit < b.commit; };
  std::sort(tags.begin(), tags.end(), is_older);
  const auto is_same = [](const TagEntry& a, const TagEntry& b) { return a.name == b.name; };
  tags.erase(std::unique(tags.begin(), tags.end(), is_same), tags.end());
  return tags;
}

class Run {
 public:
  Run(const Context& context, const Store& from, const Store* to, const TransferOptions& options,
      const TransferWords& words, const LookUp& look_up)
      : context_(context),
        from_(from),
        to_(to),
        options_(options),
        words_(words),
        look_up_(look_up) {}

  int run(const std::vector<TagEntry>& tags) {
    for (const TagEntry& tag : tags) {
      const Traffic before = traffic_of(*context_.network);
      auto moved = move(tag);
      if (!moved) return fail_after(moved.error(), tags.size());
      const Traffic after = traffic_of(*context_.network);
      warn_of(*moved);
      if (!options_.tensors.empty() && moved->moved_bytes > moved->facts.logical_bytes) {
        context_.output.note(
            "these tensors are made from others, which come along: 'cairn export' writes them "
            "alone, "
            "and '--rebase' stores them such that they need no others");
      }
      results_.push_back(
          {*std::move(moved), {after.bytes - before.bytes, after.retries - before.retries}});
      if (!context_.output.json()) print(results_.back());
    }
    if (context_.output.json()) context_.output.result(document());
    return kExitOk;
  }

 private:
  bool is_one() const { return cairn::is_one(options_); }

  Result<TransferResult> move(const TagEntry& tag) const {
    TransferRequest request = request_of(tag, options_);
    request.look_up = look_up_;
    request.call.stop = &context_.stop;
    request.call.wait = std::chrono::seconds(options_.wait_s);
    ProgressCounters counters;
    request.call.progress = &counters;
    const Progress progress(context_.output, context_.progress, words_.title, counters,
                            context_.network.get());
    return to_ == nullptr ? measure_transfer(from_, request) : transfer_tag(from_, *to_, request);
  }

  /// Each thing once, however many tags it is about.
  void warn_of(const TransferResult& moved) {
    for (const std::string& note : moved.notes) {
      if (warned_.insert(note).second) context_.output.warn(note);
    }
  }

  void print(const Moved& moved) const {
    context_.output.print(context_.output.quiet() ? moved.result.tag + "\n"
                                                  : transfer_text(moved, words_, options_.dry_run));
  }

  Json document() const {
    if (is_one()) return transfer_json(results_.front(), options_.dry_run);
    Json tags = Json::array();
    for (const Moved& moved : results_) {
      tags.push_back(transfer_json(moved, options_.dry_run));
    }
    return {{"tags", std::move(tags)}, {"dry_run", options_.dry_run}};
  }

  /// Tags that came before stay.
  int fail_after(Error error, size_t wanted) const {
    if (!results_.empty()) {
      error.message += fmt::format(" (after {} of {})", results_.size(), counted(wanted, "tag"));
    }
    return context_.output.fail(error);
  }

  const Context& context_;
  const Store& from_;
  const Store* const to_;
  const TransferOptions& options_;
  const TransferWords& words_;
  const LookUp& look_up_;
  std::vector<Moved> results_;
  std::set<std::string> warned_;
};

}  // namespace

static remote::RemoteOptions transfer_remote(const Context& context,
                                             const TransferOptions& options) {
  remote::RemoteOptions remote = remote_options(context);
  remote.connections = options.connections;
  if (options.rate) {
    remote.rate = std::make_shared<remote::RateLimit>(*options.rate, remote::machine_clock());
  }
  return remote;
}

namespace {

/// The store that tags go to.
struct Destination {
  std::optional<OpenStore> store;  ///< a dry run makes none
  bool was_made = false;           ///< just now: there is nothing to be found in it
};

}  // namespace

/// Where there is no store, one like `from` is made, and a note says so.
static Result<Destination> open_destination(const Context& context, const std::string& place,
                                            const Store& from, bool is_dry,
                                            const remote::RemoteOptions& remote) {
  Destination to;
  if (is_dry) {
    CAIRN_TRY(to.store, find_store(place, remote));
    return to;
  }
  CAIRN_TRY(to.store, open_or_make_store(place, from.config(), to.was_made, remote));
  if (to.was_made) {
    context.output.note(fmt::format("made an empty store in '{}'", place));
    note_whole_bucket(context.output, place);
  }
  return to;
}

/// What is freed of long buffers goes back to the system at once: of `--memory` nothing shall lie
/// idle in the allocator, which keeps some for each thread.
static void give_back_what_is_freed() { mallopt(M_MMAP_THRESHOLD, 256 * kKiB); }

int run_transfer(const Context& context, const TransferPlaces& places,
                 const TransferOptions& options, const TransferWords& words,
                 const LookUp& look_up) {
  give_back_what_is_freed();
  if (options.share && options.rebase) {
    return context.output.fail({Code::kUsage, "a share is of what the remote has as it is",
                                "'--rebase' goes without '--share'"});
  }
  if (options.share && is_remote(places.to)) {
    return context.output.fail({Code::kUsage, fmt::format("'{}' is no folder", places.to),
                                "shares are fetched into folders"});
  }
  const bool is_swapped = options.url.find("://") == std::string::npos &&
                          options.tags.size() == 1 &&
                          options.tags.front().find("://") != std::string::npos;
  if (is_swapped) {
    return context.output.fail(
        {Code::kUsage, "the URL comes first, and then the tags",
         fmt::format("cairn {} {} {}", words.title, options.tags.front(), options.url)});
  }
  const remote::RemoteOptions remote = transfer_remote(context, options);
  auto from = open_store(places.from, remote);
  if (!from && from.error().code == Code::kNoStore && options.tags.empty() && !options.all) {
    from.error().hint = fmt::format("the URL comes first, and then the tags: 'cairn {} URL {}'",
                                    words.title, options.url);
  }
  if (!from) return context.output.fail(from.error());
  // Before the destination: a mistyped name makes no store.
  const auto tags = named_tags(**from, options, words);
  if (!tags) return context.output.fail(tags.error());
  for (const TagEntry& tag : *tags) {
    const Status checked = check_transfer(**from, request_of(tag, options));
    if (!checked) return context.output.fail(checked.error());
  }
  const auto to = open_destination(context, places.to, **from, options.dry_run, remote);
  if (!to) return context.output.fail(to.error());
  const Store* const there = to->store ? &**to->store : nullptr;
  const LookUp none;
  return Run(context, **from, there, options, words, to->was_made ? none : look_up).run(*tags);
}

}  // namespace cairn
