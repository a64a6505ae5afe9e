#include "lib/save_part.h"

#include "base/memory_guard.h"
#include "base/stop.h"
#include "lib/part.h"
#include "lib/rank_transport.h"
#include "lib/save_plan.h"
#include "lib/save_session.h"
#include "lib/share_replicas.h"
#include "lib/staged_request.h"
#include "lib/stored_chunks.h"
#include "store/tag_name.h"
#include "store/writable.h"

namespace cairn {

SavedPart::SavedPart(std::unique_ptr<SaveSession> session, std::string name,
                     std::vector<std::string> notes)
    : session_(std::move(session)), name_(std::move(name)), notes_(std::move(notes)) {}

SavedPart::~SavedPart() = default;

void SavedPart::keep() {
  if (session_ == nullptr) return;
  // Nothing refers to the part itself, whatever became of the tag.
  session_->remove_metas();
  session_.reset();
}

void SavedPart::remove() {
  if (session_ == nullptr) return;
  session_->remove_files();
  session_.reset();
}

namespace {

/// Tells what a save has filled in, in the words of a part.
class PartTeller {
 public:
  PartTeller(const SavePlan& plan, const SavedPages& pages, Part& part)
      : plan_(plan), pages_(pages), part_(part) {
    first_units_.resize(plan.pages.pages.size());
  }

  Status run() {
    std::vector<std::pair<Unit, OwnPlace>> units;
    for_each_unit([&](const Unit& unit, const OwnPlace& place) {
      std::vector<uint32_t>& firsts = first_units_[place.page];
      if (firsts.size() <= place.entry) firsts.resize(place.entry + 1);
      if (place.unit == 0) firsts[place.entry] = static_cast<uint32_t>(units.size());
      units.emplace_back(unit, place);
    });
    for (const auto& [unit, place] : units) CAIRN_CHECK(tell(unit, place));
    return {};
  }

 private:
  template <class Visit>
  void for_each_unit(const Visit& visit) const {
    for (size_t item = 0; item < plan_.tensors.size() + plan_.attachments.size(); ++item) {
      for (uint64_t chunk = 0; chunk < plan_.chunk_count(item); ++chunk) {
        const PagePlan::Place at = plan_.pages.place(item, chunk);
        OwnPlace place{at.page, at.entry, 0};
        for (const Unit& unit : plan_.units_of(item, chunk)) {
          visit(unit, place);
          ++place.unit;
        }
      }
    }
  }

  Status tell(const Unit& unit, const OwnPlace& place) {
    PartUnit& told = part_.units.emplace_back();
    told.item = static_cast<uint32_t>(unit.item);
    told.chunk = unit.chunk;
    if (unit.is_piece) told.piece = unit.box;
    if (plan_.is_small_piece(unit)) {
      Bytes bytes(plan_.unit_bytes(unit));
      gather(plan_, unit, bytes);
      told.content = std::move(bytes);
      return {};
    }
    const ChunkEntry& entry = pages_.entry(place);
    if (const auto* bytes = std::get_if<Bytes>(&entry)) {
      told.content = *bytes;
      return {};
    }
    const auto* pieces = std::get_if<std::vector<Piece>>(&entry);
    const Digest digest = pieces ? (*pieces)[place.unit].digest : std::get<Digest>(entry);
    told.content = digest;
    told.is_renewed = pages_.is_renewed(place);
    CAIRN_TRY(const ChunkCopy copy, pages_.copy(unit, place, digest));
    part_.copies.copies.push_back(in_part(copy));
    return {};
  }

  Copy in_part(const ChunkCopy& copy) const {
    Copy told = copy.copy;
    for (const CopyBase& base : copy.bases) {
      if (const auto* of_base = std::get_if<BaseRef>(&base)) {
        told.bases.push_back(*of_base);
        continue;
      }
      const auto& place = std::get<OwnPlace>(base);
      told.bases.push_back({kOwnUnits, first_units_[place.page][place.entry] + place.unit});
    }
    return told;
  }

  const SavePlan& plan_;
  const SavedPages& pages_;
  Part& part_;
  std::vector<std::vector<uint32_t>> first_units_;  // by page and entry
};

}  // namespace

/// Stores the chunks, and tells the part in a metadata pack. Returns its name.
static Result<std::string> store_part(const Store& store, const SaveRequest& request,
                                      const SavePlan& plan, SaveSession& session,
                                      StagedSave* staged,
                                      const std::vector<std::string>& warnings) {
  StoredChunks chunks(store, request, plan, session, staged);
  CAIRN_CHECK(chunks.store());
  CAIRN_CHECK(chunks.finish());
  Part part{.session = session.id(),
            .tag = request.tag,
            .step = request.step,
            .stored_bytes = session.packs().stored_bytes(),
            .weights_age = session.weights_age(request),
            .schema = plan.schema,
            .layout = *plan.layout,
            .attachments = plan.attachment_infos};
  part.warnings = warnings;
  if (const BaseTag* const base = session.base(); base != nullptr) {
    part.base = PartBase{base->tag().name, base->tag().manifest.digest};
    part.unread_chunks = base->unread();
  }
  CAIRN_CHECK(PartTeller(plan, chunks.pages(), part).run());
  CAIRN_TRY(const Reference told, session.metas().add(ObjectKind::kPart, encode_part(part)));
  CAIRN_CHECK(session.metas().finish());
  CAIRN_CHECK(unless_stopped(request.call.stop, "the save"));
  return part_name(told);
}

/// What is stored of a request, or why nothing can be.
static Result<SavePlan> checked_plan(const Store& store, const Result<StagedRequest>& staged) {
  if (!staged) return tl::unexpected(staged.error());
  const SaveRequest& request = staged->request();
  CAIRN_CHECK(check_tag_name(request.tag));
  CAIRN_CHECK(check_may_write(store));
  return plan_part(request, store.config());
}

/// Leaves to other ranks what they store. Returns what was found odd about replicas.
static Result<std::vector<std::string>> share(const SaveRequest& request, Result<SavePlan>& plan,
                                              StagedSave* staged) {
  if (request.group == nullptr) return std::vector<std::string>();
  CAIRN_TRY(const auto transport, open_transport(*request.group, request.devices.staging));
  Result<const SavePlan*> given = nullptr;
  if (plan) {
    given = &*plan;
  } else {
    given = tl::unexpected(plan.error());
  }
  CAIRN_TRY(SharedReplicas shared, share_replicas(*transport, request, given, staged));
  plan->leave(std::move(shared.left));
  return std::move(shared.warnings);
}

Result<std::unique_ptr<SavedPart>> save_part(const Store& store, const SaveRequest& given) {
  return guard_memory([&]() -> Result<std::unique_ptr<SavedPart>> {
    // What fails before ranks have met is told to all of them.
    const auto staged =
        guard_memory([&] { return StagedRequest::of(given, store.config().chunk_elements); });
    auto plan = guard_memory([&] { return checked_plan(store, staged); });
    const SaveRequest& request = staged ? staged->request() : given;
    StagedSave* const bringing = staged ? staged->staged() : nullptr;
    CAIRN_TRY(const auto warnings, share(request, plan, bringing));
    if (!plan) return tl::unexpected(plan.error());
    CAIRN_TRY(auto session, SaveSession::begin(store, request, request.base));
    auto name = guard_memory(
        [&] { return store_part(store, request, *plan, *session, bringing, warnings); });
    if (!name) {
      session->remove_files();
      return tl::unexpected(name.error());
    }
    auto notes = bringing == nullptr ? std::vector<std::string>() : bringing->notes();
    return std::unique_ptr<SavedPart>(
        new SavedPart(std::move(session), *std::move(name), std::move(notes)));
  });
}

}  // namespace cairn
