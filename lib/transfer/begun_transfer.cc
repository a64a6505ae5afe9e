#include "lib/transfer/begun_transfer.h"

#include <algorithm>

#include "lib/transfer/standing_copies.h"
#include "lib/transfer/standing_tag.h"

namespace cairn {
namespace {

class Beginning {
 public:
  explicit Beginning(const Errand& errand) : errand_(errand), tables_(errand.to) {}

  Result<BegunTransfer> run() {
    for (;;) {
      CAIRN_TRY(const StandingTag chosen,
                choose_standing_tag(errand_.to, errand_.name, errand_.from, errand_.cargo,
                                    errand_.met.passed_over));
      for (const std::string& each : chosen.notes) errand_.met.note(each);
      CAIRN_TRY(const bool is_planned, plan_beside(chosen.tag));
      if (is_planned) return std::move(begun_);
    }
  }

 private:
  /// False: it cannot be used, and is passed over from now on.
  Result<bool> plan_beside(const std::optional<TagEntry>& tag) {
    CAIRN_TRY(BaseTag* const base, take_base(tag));
    if (tag && base == nullptr) {
      errand_.met.passed_over.push_back(tag->table);
      return false;
    }
    StandingCopies standing(base, &tables_, errand_.request.rebase);
    const Status planned = plan_with(standing);
    if (standing.fault()) {
      errand_.met.note(passed_over_note(errand_.to, base->tag().name, *standing.fault()));
      errand_.met.passed_over.push_back(base->tag().table);
      return false;
    }
    CAIRN_CHECK(errand_.met.of_source(planned));
    if (base != nullptr) begun_.base = base->tag().name;
    begun_.reused_packs.assign(standing.reused_packs().begin(), standing.reused_packs().end());
    return true;
  }

  /// Null with a tag: it is gone, moved, or cannot be read.
  Result<BaseTag*> take_base(const std::optional<TagEntry>& tag) {
    if (errand_.request.dry_run) return look_at_base(tag);
    SaveRequest wanted;
    wanted.tag = errand_.name;
    wanted.if_exists = errand_.request.if_exists;
    wanted.call = errand_.request.call;
    auto session = SaveSession::begin(errand_.to, wanted, tag ? tag->name : "none");
    if (!session && tag && session.error().code == Code::kNotFound) return nullptr;
    CAIRN_TRY(begun_.session, std::move(session));
    if (!begun_.session->damaged_base().empty()) {
      errand_.met.note(
          passed_over_note(errand_.to, tag->name, {Code::kCorrupt, "it cannot be read", ""}));
    }
    return begun_.session->base();
  }

  Result<BaseTag*> look_at_base(const std::optional<TagEntry>& tag) {
    if (!tag) return nullptr;
    auto opened = BaseTag::open(errand_.to, *tag);
    if (!opened) return nullptr;
    looked_at_ = *std::move(opened);
    return looked_at_.get();
  }

  Status plan_with(StandingCopies& standing) {
    CAIRN_TRY(begun_.plan, plan_from(standing));
    if (!errand_.request.look_up || errand_.met.lost_look_up || begun_.plan.fetches.empty())
      return {};
    std::vector<Digest> wanted;
    for (const Fetch& fetch : begun_.plan.fetches) wanted.push_back(fetch.digest);
    std::vector<std::optional<Copy>> found(wanted.size());
    if (!errand_.request.look_up(wanted, found)) return {};
    const bool is_any =
        std::any_of(found.begin(), found.end(), [](const auto& copy) { return copy.has_value(); });
    if (!is_any) return {};
    CAIRN_CHECK(standing.add_found(wanted, found));
    CAIRN_TRY(begun_.plan, plan_from(standing));
    return {};
  }

  Result<TransferPlan> plan_from(StandingCopies& standing) {
    return plan_transfer(errand_.from, errand_.cargo, standing, errand_.request.connections,
                         errand_.request.call.stop);
  }

  const Errand& errand_;
  PackTables tables_;
  std::unique_ptr<BaseTag> looked_at_;  // of a dry run
  BegunTransfer begun_;
};

}  // namespace

Result<BegunTransfer> begin_transfer(const Errand& errand) { return Beginning(errand).run(); }

}  // namespace cairn
