#include "lib/transfer/transfer.h"

#include <fmt/format.h>

#include "base/clock.h"
#include "base/memory_guard.h"
#include "lib/transfer/attempt.h"
#include "store/tag_name.h"
#include "store/writable.h"

namespace cairn {

static Status check_rules(const Store& from, const Store& to) {
  const Config &a = from.config(), &b = to.config();
  if (a.chunk_elements == b.chunk_elements && a.opaque_chunk_bytes == b.opaque_chunk_bytes &&
      has_content_cuts(a) == has_content_cuts(b)) {
    return {};
  }
  return fail(
      Code::kUsage,
      fmt::format("'{}' and '{}' cut chunks by different rules ({} and {} elements a chunk, {} and "
                  "{} bytes of attachments), so that no chunk of one is one of the other",
                  from.path(), to.path(), a.chunk_elements, b.chunk_elements, a.opaque_chunk_bytes,
                  b.opaque_chunk_bytes),
      fmt::format("make the other store with 'cairn init --chunk-elements {}', or export the tag "
                  "and import it there",
                  a.chunk_elements));
}

static const std::string& name_in_destination(const TransferRequest& request) {
  return request.as.empty() ? request.tag : request.as;
}

Status check_transfer(const Store& from, const TransferRequest& request) {
  return guard_memory([&]() -> Status {
    CAIRN_CHECK(check_tag_name(name_in_destination(request)));
    if (request.tensors.empty()) return {};
    CAIRN_TRY(const auto checkpoint, open_tag(from, request.tag));
    CAIRN_CHECK(choose_tensors(*checkpoint, request.tensors));
    return {};
  });
}

static Result<TransferResult> transfer(const Store& from, const Store& to,
                                       const TransferRequest& request) {
  const Stopwatch watch;
  const std::string& name = name_in_destination(request);
  CAIRN_CHECK(check_tag_name(name));
  CAIRN_CHECK(check_may_write(to));
  CAIRN_CHECK(check_rules(from, to));
  if (request.share && to.fs().conditional() != nullptr) {
    return fail(Code::kUsage, fmt::format("'{}' is a bucket", to.path()),
                "shares are fetched into folders");
  }
  CAIRN_TRY(const auto checkpoint, open_tag(from, request.tag));
  CAIRN_TRY(const auto tensors, choose_tensors(*checkpoint, request.tensors));
  Experience met;
  const auto move = [&](Checkpoint& latest) -> Result<TransferResult> {
    met.failed_at_source = true;
    CAIRN_TRY(const Cargo cargo, cargo_of(latest, tensors));
    for (;;) {
      auto moved = attempt_transfer({latest, cargo, to, request, name, met});
      if (moved || !met.is_worth_another) return moved;
    }
  };
  for (;;) {
    Checkpoint& latest = checkpoint->latest();
    auto moved = move(latest);
    if (moved) moved->elapsed_s = watch.seconds();
    if (moved || !met.failed_at_source) return moved;
    // Anew where a collection of the source has moved it.
    CAIRN_CHECK(latest.follow(moved.error()));
  }
}

Result<TransferResult> transfer_tag(const Store& from, const Store& to,
                                    const TransferRequest& request) {
  return guard_memory([&] { return transfer(from, to, request); });
}

static Result<TransferResult> measure(Checkpoint& from, const std::vector<size_t>& tensors,
                                      const TransferRequest& request) {
  CAIRN_TRY(const Cargo cargo, cargo_of(from, tensors));
  StandingCopies none(nullptr, nullptr, request.rebase);
  CAIRN_TRY(const TransferPlan plan,
            plan_transfer(from, cargo, none, request.connections, request.call.stop));
  TransferResult result;
  result.tag = name_in_destination(request);
  result.manifest = cargo.digest();
  result.facts = cargo.entry.facts;
  tell_plan(plan, result);
  return result;
}

Result<TransferResult> measure_transfer(const Store& from, const TransferRequest& request) {
  return guard_memory([&]() -> Result<TransferResult> {
    const Stopwatch watch;
    CAIRN_CHECK(check_tag_name(name_in_destination(request)));
    CAIRN_TRY(const auto checkpoint, open_tag(from, request.tag));
    CAIRN_TRY(const auto tensors, choose_tensors(*checkpoint, request.tensors));
    CAIRN_TRY(TransferResult result, read_where_it_is(*checkpoint, [&](Checkpoint& latest) {
                return measure(latest, tensors, request);
              }));
    result.elapsed_s = watch.seconds();
    return result;
  });
}

}  // namespace cairn
