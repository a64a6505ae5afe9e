#include "lib/transfer/begun_transfer.h"

#include <algorithm>

#include "lib/transfer/standing_copies.h"
#include "lib/transfer/standing_tag.h"

namespace cairn {
namespace {

class Beginning {
 public:
  Beginning(Checkpoint& from, const Cargo& cargo, const Store& to, const TransferRequest& request,
            const std::string& name, Experience& met)
      : from_(from),
        cargo_(cargo),
        to_(to),
        request_(request),
        name_(name),
        met_(met),
        tables_(to) {}

  Result<BegunTransfer> run() {
    for (;;) {
      CAIRN_TRY(const StandingTag chosen,
                choose_standing_tag(to_, name_, from_, cargo_, met_.passed_over));
      for (const std::string& each : chosen.notes) met_.note(each);
      CAIRN_TRY(const bool is_planned, plan_beside(chosen.tag));
      if (is_planned) return std::move(begun_);
    }
  }

 private:
  /// False: it cannot be used, and is passed over from now on.
  Result<bool> plan_beside(const std::optional<TagEntry>& tag) {
    CAIRN_TRY(BaseTag* const base, take_base(tag));
    if (tag && base == nullptr) {
      met_.passed_over.push_back(tag->table);
      return false;
    }
    StandingCopies standing(base, &tables_, request_.rebase);
    const Status planned = plan_with(standing);
    if (standing.fault()) {
      met_.note(passed_over_note(to_, base->tag().name, *standing.fault()));
      met_.passed_over.push_back(base->tag().table);
      return false;
    }
    CAIRN_CHECK(met_.of_source(planned));
    if (base != nullptr) begun_.base = base->tag().name;
    begun_.reused_packs.assign(standing.reused_packs().begin(), standing.reused_packs().end());
    return true;
  }

  /// Null with a tag: it is gone, moved, or cannot be read.
  Result<BaseTag*> take_base(const std::optional<TagEntry>& tag) {
    if (request_.dry_run) return look_at_base(tag);
    SaveRequest wanted;
    wanted.tag = name_;
    wanted.if_exists = request_.if_exists;
    wanted.call = request_.call;
    auto session = SaveSession::begin(to_, wanted, tag ? tag->name : "none");
    if (!session && tag && session.error().code == Code::kNotFound) return nullptr;
    CAIRN_TRY(begun_.session, std::move(session));
    if (!begun_.session->damaged_base().empty()) {
      met_.note(passed_over_note(to_, tag->name, {Code::kCorrupt, "it cannot be read", ""}));
    }
    return begun_.session->base();
  }

  Result<BaseTag*> look_at_base(const std::optional<TagEntry>& tag) {
    if (!tag) return nullptr;
    auto opened = BaseTag::open(to_, *tag);
    if (!opened) return nullptr;
    looked_at_ = *std::move(opened);
    return looked_at_.get();
  }

  Status plan_with(StandingCopies& standing) {
    CAIRN_TRY(begun_.plan, plan_from(standing));
    if (!request_.look_up || met_.lost_look_up || begun_.plan.fetches.empty()) return {};
    std::vector<Digest> wanted;
    for (const Fetch& fetch : begun_.plan.fetches) wanted.push_back(fetch.digest);
    std::vector<std::optional<Copy>> found(wanted.size());
    if (!request_.look_up(wanted, found)) return {};
    const bool is_any =
        std::any_of(found.begin(), found.end(), [](const auto& copy) { return copy.has_value(); });
    if (!is_any) return {};
    CAIRN_CHECK(standing.add_found(wanted, found));
    CAIRN_TRY(begun_.plan, plan_from(standing));
    return {};
  }

  Result<TransferPlan> plan_from(StandingCopies& standing) {
    return plan_transfer(from_, cargo_, standing, request_.connections, request_.call.stop);
  }

  Checkpoint& from_;
  const Cargo& cargo_;
  const Store& to_;
  const TransferRequest& request_;
  const std::string& name_;
  Experience& met_;
  PackTables tables_;
  std::unique_ptr<BaseTag> looked_at_;  // of a dry run
  BegunTransfer begun_;
};

}  // namespace

Result<BegunTransfer> begin_transfer(Checkpoint& from, const Cargo& cargo, const Store& to,
                                     const TransferRequest& request, const std::string& name,
                                     Experience& met) {
  return Beginning(from, cargo, to, request, name, met).run();
}

}  // namespace cairn
