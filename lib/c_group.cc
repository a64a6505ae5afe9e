#include "lib/c_group.h"

namespace cairn::c_abi {

/// What the caller's function answers to `call`.
template <class Call>
static HostAnswer answer_of(HostWait* wait, const Call& call) {
  cairn_group_wait told{sizeof(cairn_group_wait), wait->timeout_ms, wait->missing, wait->message,
                        sizeof wait->message};
  const int32_t answer = call(&told);
  wait->message[sizeof wait->message - 1] = 0;
  if (answer == CAIRN_GROUP_DONE) return HostAnswer::kDone;
  return answer == CAIRN_GROUP_TIMED_OUT ? HostAnswer::kTimedOut : HostAnswer::kFailed;
}

HostAnswer LentGroup::all_gather(void* context, const uint8_t* own, uint64_t bytes, uint8_t* all,
                                 HostWait* wait) {
  const cairn_group& lent = static_cast<const LentGroup*>(context)->given_;
  return answer_of(wait, [&](cairn_group_wait* told) {
    return lent.all_gather(lent.context, own, bytes, all, told);
  });
}

HostAnswer LentGroup::broadcast(void* context, uint8_t* data, uint64_t bytes, unsigned root,
                                HostWait* wait) {
  const cairn_group& lent = static_cast<const LentGroup*>(context)->given_;
  return answer_of(wait, [&](cairn_group_wait* told) {
    return lent.broadcast(lent.context, data, bytes, root, told);
  });
}

HostAnswer LentGroup::look(void* context, HostWait* wait) {
  const cairn_group& lent = static_cast<const LentGroup*>(context)->given_;
  return answer_of(wait, [&](cairn_group_wait* told) { return lent.look(lent.context, told); });
}

Status LentGroup::read(const cairn_group* given) {
  if (given == nullptr) return {};
  CAIRN_TRY(given_, request_of(given));
  group_.host = {given_.rank,
                 given_.size,
                 this,
                 given_.all_gather == nullptr ? nullptr : all_gather,
                 given_.broadcast == nullptr ? nullptr : broadcast,
                 given_.look == nullptr ? nullptr : look};
  if (given_.timeout_s > 0) group_.timeout = milliseconds_of(given_.timeout_s);
  group_.nccl = given_.nccl_comm;
  group_.device = given_.nccl_stream.device;
  group_.stream = given_.nccl_stream.handle;
  group_.makes_nccl = given_.makes_nccl != 0;
  is_given_ = true;
  return {};
}

}  // namespace cairn::c_abi
