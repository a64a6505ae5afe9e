// `cairn remote test`: whether a place does what Cairn needs, tried before it is trusted.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/exit_codes.h"
#include "cli/human.h"
#include "cli/open_place.h"
#include "store/remote/trial.h"
#include "store/remote/url.h"

namespace cairn {

using nlohmann::ordered_json;
using remote::Finding;
using remote::Need;
using remote::Trial;

namespace {

/// What was tried, and what it means for a place that is to be read, or to be written too.
struct Verdict {
  Trial trial;
  bool is_written = false;  ///< writing was tried
  bool reads = false, writes = false;

  bool is_good() const { return is_written ? writes : reads; }
};

std::string_view need_word(Need need) {
  switch (need) {
    case Need::kReading:
      return "reading";
    case Need::kWriting:
      return "writing";
    case Need::kComfort:
      return "comfort";
  }
  return "";
}

}  // namespace

/// Whether there is a store that this Cairn reads; a bucket may be without one yet.
static Result<std::string> look_for_store(const std::string& url, const Context& context,
                                          bool must_be) {
  const auto store = open_store(url, remote_options(context));
  const bool is_none = !store && store.error().code == Code::kNoStore;
  if (is_none && !must_be) return "none yet: the first push makes one";
  if (!store) return tl::unexpected(store.error());
  CAIRN_TRY(const TagList list, (*store)->read_tags());
  return fmt::format("{} of format {}", counted(list.tags.size(), "tag"), kFormatNumber);
}

static Result<Verdict> try_place(const Context& context, const RemoteTestOptions& options) {
  if (options.what != "test") {
    return fail(Code::kUsage, fmt::format("'{}' is nothing to do with a remote", options.what),
                "say 'cairn remote test URL'");
  }
  const auto meant = is_remote(options.url) ? std::nullopt : remote::meant_url(options.url);
  if (meant) {
    return fail(Code::kUsage, fmt::format("'{}' is no URL", options.url),
                fmt::format("did you mean '{}'?", *meant));
  }
  if (!is_remote(options.url)) {
    return fail(Code::kUsage, fmt::format("'{}' is a folder", options.url),
                "'cairn init' checks a folder before it makes a store; this tests s3://, https://");
  }
  Verdict verdict;
  verdict.is_written = options.url.starts_with("s3://") && !options.read_only;
  const remote::RemoteOptions remote = remote_options(context);
  if (verdict.is_written) {
    remote::try_bucket(options.url, remote, verdict.trial);
  } else {
    remote::try_reading(options.url, remote, verdict.trial);
  }
  verdict.trial.run("tags", Need::kReading, "",
                    [&] { return look_for_store(options.url, context, !verdict.is_written); });
  // A stop is no finding.
  const Status& end = verdict.trial.end();
  if (!end && end.error().code == Code::kCancelled) return tl::unexpected(end.error());
  verdict.reads = verdict.trial.serves(Need::kReading);
  verdict.writes = verdict.is_written && verdict.trial.serves(Need::kWriting);
  return verdict;
}

static ordered_json document(const Verdict& verdict, const std::string& url) {
  auto checks = ordered_json::array();
  for (const Finding& finding : verdict.trial.findings()) {
    ordered_json row = {{"name", finding.name}, {"ok", nullptr}};
    if (finding.outcome != Finding::Outcome::kUntried) {
      row["ok"] = finding.outcome == Finding::Outcome::kGood;
    }
    row["needed_for"] = need_word(finding.need);
    row["told"] = finding.told;
    row["advice"] = finding.advice.empty() ? ordered_json() : ordered_json(finding.advice);
    checks.push_back(std::move(row));
  }
  return {{"url", url},
          {"ok", verdict.is_good()},
          {"reads", verdict.reads},
          {"writes", verdict.is_written ? ordered_json(verdict.writes) : ordered_json()},
          {"checks", std::move(checks)}};
}

static std::string finding_text(const Finding& finding) {
  const std::string_view bad = finding.need == Need::kComfort ? "poor" : "BAD";
  const std::string_view word = finding.outcome == Finding::Outcome::kBad    ? bad
                                : finding.outcome == Finding::Outcome::kGood ? "ok"
                                                                             : "-";
  std::string text = fmt::format("{:<8}  {:<4}  {}\n", finding.name, word,
                                 finding.told.empty() ? "not tried" : finding.told);
  if (!finding.advice.empty()) text += fmt::format("{:16}{}\n", "", finding.advice);
  return text;
}

static void print(Output& output, const Verdict& verdict, const std::string& url) {
  if (output.json()) {
    output.result(document(verdict, url));
    return;
  }
  for (const Finding& finding : verdict.trial.findings()) {
    const bool is_bad = finding.outcome == Finding::Outcome::kBad;
    if (output.quiet() && is_bad) output.print(finding.name + "\n");
    if (!output.quiet()) output.print(finding_text(finding));
  }
  if (output.quiet()) return;
  output.print(fmt::format("to be read: {}{}\n", verdict.reads ? "yes" : "no",
                           !verdict.is_written ? ""
                           : verdict.writes    ? "; to be written: yes"
                                               : "; to be written: no"));
}

/// Of the first thing that is needed and is not there.
static Code code_of(const Trial& trial) {
  for (const Finding& finding : trial.findings()) {
    if (finding.outcome != Finding::Outcome::kBad || finding.need == Need::kComfort) continue;
    if (finding.code == Code::kNotFound) return Code::kNoStore;  // the bucket
    // That a condition was refused which should hold is no tag that exists.
    return finding.code == Code::kExists ? Code::kFailed : finding.code;
  }
  return Code::kFailed;
}

int cmd_remote(const Context& context, const RemoteTestOptions& options) {
  const auto verdict = try_place(context, options);
  if (!verdict) return context.output.fail(verdict.error());
  print(context.output, *verdict, options.url);
  if (verdict->is_good()) return kExitOk;
  context.output.warn(fmt::format("not what Cairn needs to {} it",
                                  verdict->is_written ? "read and write" : "read"));
  return exit_status(code_of(verdict->trial));
}

}  // namespace cairn
