#include "lib/stored_chunks.h"

namespace cairn {

/// The base of the session, if any, that knows which of its items are the plan's.
static BaseTag* matched_base(const SavePlan& plan, const SaveSession& session) {
  BaseTag* const base = session.base();
  if (base != nullptr) base->match(plan.schema, plan.attachment_infos);
  return base;
}

StoredChunks::StoredChunks(const Store& store, const SaveRequest& request, const SavePlan& plan,
                           SaveSession& session, StagedSave* staged)
    : request_(request),
      packs_(session.packs()),
      tables_(store),
      writer_(packs_, session.id(), request.call.progress),
      pages_(plan, matched_base(plan, session), writer_, tables_),
      saver_(store, request, plan, session.base(), writer_, tables_, pages_, staged,
             session.weights_age(request) == 0) {}

Status StoredChunks::finish() {
  if (request_.check_sources) CAIRN_CHECK(request_.check_sources());
  return packs_.finish();
}

}  // namespace cairn
