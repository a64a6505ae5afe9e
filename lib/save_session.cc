#include "lib/save_session.h"

#include <fmt/format.h>

namespace cairn {
namespace {

/// A base tag that could be opened, or the name of one that could not.
struct ChosenBase {
  std::unique_ptr<BaseTag> base;
  std::string damaged;
};

}  // namespace

static Status refuse_early(TagBook& tags, const SaveRequest& request) {
  if (request.if_exists != IfExists::kError) return {};
  CAIRN_TRY(const TagEntry* standing, tags.find(request.tag));
  if (standing == nullptr) return {};
  return fail(Code::kExists, fmt::format("the tag '{}' exists already", request.tag),
              "choose another name, or '--if-exists replace'");
}

/// A base that cannot be read, or that no lease has room for, costs bytes, not the save.
static Result<ChosenBase> open_base(const Store& store, const SaveRequest& request,
                                    const std::optional<std::string>& base) {
  const auto ask = [&](TagBook& before) -> Result<std::optional<TagEntry>> {
    CAIRN_CHECK(refuse_early(before, request));
    return choose_base(before, request.tag, base);
  };
  CAIRN_TRY(const auto entry, store.ask_tags(ask));
  ChosenBase chosen;
  if (!entry) return chosen;
  auto opened = BaseTag::open(store, *entry);
  if (!opened) {
    chosen.damaged = entry->name;
  } else if ((*opened)->lease().packs.size() <= kLeasedPacksMax) {
    chosen.base = *std::move(opened);
  }
  return chosen;
}

SaveSession::SaveSession(const Store& store, std::unique_ptr<Session> session)
    : session_(std::move(session)), metas_(store.fs(), store.path(), session_->id()) {
  packs_.emplace(store, session_->id());
}

Result<std::unique_ptr<SaveSession>> SaveSession::begin(const Store& store,
                                                        const SaveRequest& request,
                                                        const std::optional<std::string>& base) {
  CAIRN_TRY(auto chosen, open_base(store, request, base));
  std::optional<LeasedBase> lease;
  if (chosen.base != nullptr) lease = chosen.base->lease();
  CAIRN_TRY(auto session, Session::begin(store.fs(), store.path(), request.tag, lease));
  std::unique_ptr<SaveSession> begun(new SaveSession(store, std::move(session)));
  begun->damaged_base_ = std::move(chosen.damaged);
  if (chosen.base == nullptr) return begun;
  const TagEntry& tag = chosen.base->tag();
  const auto stands_still = [&](TagBook& after) -> Result<bool> {
    CAIRN_TRY(const TagEntry* entry, after.find(tag.name));
    return entry != nullptr && entry->table == tag.table;
  };
  CAIRN_TRY(const bool is_there, store.ask_tags(stands_still));
  if (is_there) begun->base_ = std::move(chosen.base);
  return begun;
}

std::string SaveSession::damaged_base() const {
  return base_ != nullptr && base_->unread() > 0 ? base_->tag().name : damaged_base_;
}

uint32_t SaveSession::weights_age(const SaveRequest& request) const {
  if (base_ == nullptr || request.pinned) return 0;
  const uint32_t age = base_->tag().facts.weights_age + 1;
  return age >= request.weights_every && request.weights_every != 0 ? 0 : age;
}

void SaveSession::end() {
  // What cannot be removed is gc's to find.
  (void)session_->end().has_value();
}

void SaveSession::remove_files() {
  const uint32_t packs = packs_->packs_begun();
  packs_.reset();  // closes what is open
  session_->remove_files(packs, metas_.metas_begun());
}

void SaveSession::close_packs() { packs_.reset(); }

void SaveSession::remove_metas() { session_->remove_files(0, metas_.metas_begun()); }

}  // namespace cairn
