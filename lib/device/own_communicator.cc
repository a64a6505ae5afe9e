// A communicator of a load's own, on the device that each rank names: when all have what they need
// for it, the first rank makes an id of NCCL, and all make the communicator of it.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "gpu/rank_talk.h"
#include "lib/device/device_staging.h"
#include "lib/device/on_its_device.h"

namespace cairn {
namespace {

constexpr std::chrono::milliseconds kMakingMost = std::chrono::minutes(2);

/// What ranks tell each other. Plain bytes.
struct Offer {
  std::array<uint8_t, 16> device{};  // which it is of all hosts
  int32_t version = 0;               // of NCCL
};
static_assert(sizeof(Offer) == 20);

class OwnCommunicator final : public NewCommunicator {
 public:
  static Result<std::unique_ptr<NewCommunicator>> begin(const RankGroup& group) {
    std::unique_ptr<OwnCommunicator> begun(new OwnCommunicator(group));
    CAIRN_TRY(begun->library_, gpu::NcclLibrary::find());
    CAIRN_TRY(const auto scope, gpu::DeviceScope::enter(group.device));
    CAIRN_TRY(const gpu::DeviceFacts facts, gpu::device_facts());
    CAIRN_TRY(begun->needs_.stream, gpu::OwnStream::make());
    gpu::NcclOptions options = options_of(group);
    options.stream = begun->needs_.stream.stream();
    // Who cannot make it waits for the others over the host meanwhile.
    options.making = std::min(group.timeout / 2, kMakingMost);
    CAIRN_TRY(begun->nccl_, gpu::NcclTransport::begin(begun->library_, group.host.rank,
                                                      group.host.size, options));
    begun->own_.device = facts.id;
    begun->own_.version = begun->library_->version();
    return begun;
  }
  ~OwnCommunicator() override {
    const auto scope = gpu::DeviceScope::enter(group_.device);
    if (nccl_ != nullptr) nccl_->break_off();
    nccl_.reset();
    needs_.stream = {};
  }

  ByteSpan offer() const override { return as_bytes(&own_, sizeof own_); }

  Status make(ByteSpan offers, gpu::Transport& host) override {
    std::vector<Offer> all(host.size());
    std::memcpy(all.data(), offers.data(), offers.size());
    CAIRN_CHECK(check(all));
    CAIRN_TRY(const gpu::NcclId id, id_for_all(host));
    CAIRN_TRY(const auto scope, gpu::DeviceScope::enter(group_.device));
    CAIRN_CHECK(nccl_->connect(id));
    return nccl_->meet_beside(host);
  }

  std::unique_ptr<gpu::Transport> take() override {
    return std::make_unique<OnItsDevice>(group_.device, std::move(needs_), std::move(nccl_));
  }

 private:
  explicit OwnCommunicator(const RankGroup& group) : group_(group) {}

  /// What NCCL would let ranks wait for, or crash on.
  static Status check(const std::vector<Offer>& all) {
    for (size_t rank = 0; rank < all.size(); ++rank) {
      if (all[rank].version != all[0].version)
        return fail(Code::kFailed, fmt::format("rank {} has NCCL {}, rank 0 has {}", rank,
                                               all[rank].version, all[0].version));
      const auto same = std::find_if(all.begin(), all.begin() + static_cast<ptrdiff_t>(rank),
                                     [&](const Offer& o) { return o.device == all[rank].device; });
      if (same != all.begin() + static_cast<ptrdiff_t>(rank))
        return fail(Code::kFailed,
                    fmt::format("ranks {} and {} are on one device", same - all.begin(), rank));
    }
    return {};
  }

  /// Of the first rank, which makes it now that all can use it: NCCL never gives it back unused.
  Result<gpu::NcclId> id_for_all(gpu::Transport& host) const {
    gpu::NcclId own;
    Status made;
    if (host.rank() == 0) {
      const auto id = gpu::NcclTransport::make_id(*library_);
      made = gpu::status_of(id);
      if (id) own = *id;
    }
    CAIRN_CHECK(gpu::agree(host, "id of a communicator", made, {}));
    std::vector<gpu::NcclId> all(host.size());
    CAIRN_CHECK(host.all_gather(
        as_bytes(&own, sizeof own),
        {static_cast<uint8_t*>(static_cast<void*>(all.data())), all.size() * sizeof own}));
    return all[0];
  }

  const RankGroup group_;
  std::shared_ptr<const gpu::NcclLibrary> library_;
  OnItsDevice::Needs needs_;
  Offer own_;
  std::unique_ptr<gpu::NcclTransport> nccl_;
};

}  // namespace

Result<std::unique_ptr<NewCommunicator>> DeviceStaging::new_communicator(const RankGroup& group) {
  return OwnCommunicator::begin(group);
}

}  // namespace cairn
