// Slabs as saves and loads move them, beside plain copies: gathered chunks on their way to the
// host, and slabs on their way to the device that are digested there.
#include <fmt/format.h>

#include <algorithm>

#include "base/clock.h"
#include "lib/device/landing.h"
#include "tests/bench/gpu/device_state.h"
#include "tests/bench/gpu/plain_copies.h"

namespace cairn {

namespace {

constexpr uint64_t kGroupsPeriod = 4;  // chunks of one group in so many are gathered
constexpr uint64_t kTileBytes = kMiB;  // what is digested at a time

class CopyRows {
 public:
  explicit CopyRows(const PathOptions& options) : options_(options) {}

  Status prepare() {
    CAIRN_TRY(state_, DeviceState::make(StateKind::kTraining, options_.state_bytes,
                                        options_.chunk_elements));
    const StagingOptions staging = staging_options(options_);
    CAIRN_TRY(lane_, Lane::make(0, staging));
    const uint64_t digests = sizeof(Digest) * slab_pieces_most(staging);
    CAIRN_TRY(copies_, PlainCopies::make(options_.slab_bytes + digests));
    CAIRN_TRY(told_, gpu::PinnedMemory::allocate(digests));
    std::vector<SourceBox> boxes = state_.chunk_boxes(kGroupsPeriod);
    for (const SourceBox& box : boxes) contents_.push_back(content_of(box, item_bytes(box)));
    cut_windows(slab_pieces_most(staging));
    return {};
  }

  /// GB/s of all windows.
  Result<double> gather_down() {
    CAIRN_CHECK(lane_.begin({}));
    if (!lane_.has_room()) return fail(Code::kNoSpace, "the device has no room to work with");
    landings_.clear();
    landings_.resize(PlainCopies::kSlabs);
    const Stopwatch watch;
    for (size_t i = 0; i < windows_.size(); ++i) {
      auto& landing = landings_[i % landings_.size()];
      if (landing) CAIRN_CHECK(landing->wait());
      CAIRN_TRY(landing,
                Landing::begin(lane_, static_cast<unsigned>(i), windows_[i], copies_.slab(i)));
    }
    for (const auto& landing : landings_) {
      if (landing) CAIRN_CHECK(landing->wait());
    }
    return static_cast<double>(bytes_) / 1e9 / std::max(watch.seconds(), 1e-9);
  }

  /// That the bytes that came last are those that the device digested.
  Status check() const {
    const size_t last = windows_.size() - 1;
    const auto& landing = *landings_[last % landings_.size()];
    for (size_t i = 0; i < windows_[last].size(); ++i) {
      if (landing.digest(i) == blake3(landing.bytes(i))) continue;
      return fail(Code::kFailed, fmt::format("chunk {} of the last slab is another", i));
    }
    return {};
  }

  /// As many bytes from memory as it lies.
  Result<double> plain_down() { return copies_.down({state_.memory().data(), bytes_}); }

  /// Seconds for slabs to go up one after the other, each digested there when it has arrived; or
  /// only one of the two.
  Result<double> go_up(bool with_copies, bool with_digests) {
    CAIRN_CHECK(lane_.begin({}));
    const uint64_t bytes = options_.slab_bytes;
    const uint64_t slabs = std::max<uint64_t>(4, state_.bytes() / 4 / bytes);
    const Stopwatch watch;
    for (unsigned turn = 0; turn < slabs; ++turn) {
      Arena &slab = lane_.slab(turn), &work = lane_.digests(turn);
      CAIRN_CHECK(gpu::wait_for(lane_.copies(), lane_.copied(turn)));
      slab.clear();
      work.clear();
      CAIRN_TRY(const gpu::DeviceSpan there, take_room(slab, bytes));
      if (with_copies) {
        CAIRN_CHECK(gpu::copy_up(lane_.copies(), there.data, copies_.slab(turn).first(bytes)));
      }
      gpu::Event landed;
      CAIRN_TRY(landed, gpu::Event::make());
      CAIRN_CHECK(landed.record(lane_.copies()));
      CAIRN_CHECK(gpu::wait_for(lane_.work(), landed));
      if (with_digests) CAIRN_CHECK(digest(work, there));
      CAIRN_CHECK(lane_.copied(turn).record(lane_.work()));
    }
    CAIRN_CHECK(lane_.finish());
    return std::max(watch.seconds(), 1e-9);
  }

  Status add_rates(CopyRates& rates) { return copies_.add_rates(state_.memory().span(), rates); }

 private:
  static uint64_t item_bytes(const SourceBox& box) {
    return static_cast<uint64_t>(
        *std::min_element(box.strides_bytes.begin(), box.strides_bytes.end()));
  }

  void cut_windows(uint64_t pieces_most) {
    uint64_t taken = 0;
    for (const Content& content : contents_) {
      const uint64_t bytes = landed_bytes(content.bytes);
      if (bytes > options_.slab_bytes) continue;
      if (windows_.empty() || taken + bytes > options_.slab_bytes ||
          windows_.back().size() == pieces_most) {
        windows_.emplace_back();
        taken = 0;
      }
      windows_.back().push_back(&content);
      taken += bytes;
      bytes_ += bytes;
    }
  }

  Status digest(Arena& work, gpu::DeviceSpan slab) {
    std::vector<gpu::Tile> tiles;
    for (uint64_t at = 0; at < slab.bytes; at += kTileBytes) {
      tiles.push_back({slab.data + at, std::min(kTileBytes, slab.bytes - at)});
    }
    CAIRN_TRY(const gpu::DeviceSpan digests, enqueue_digests(lane_, lane_.work(), work, tiles));
    return gpu::copy_down(lane_.work(), told_.span().first(digests.bytes), digests.data);
  }

  const PathOptions& options_;
  DeviceState state_;
  Lane lane_;
  PlainCopies copies_;
  gpu::PinnedMemory told_;
  std::vector<Content> contents_;
  std::vector<std::vector<const Content*>> windows_;
  std::vector<std::optional<Landing>> landings_;
  uint64_t bytes_ = 0;
};

}  // namespace

Status measure_copies(const PathOptions& options, std::vector<PathRow>& rows) {
  PathRow gathered{"gathered chunks to the host, plain copy = 1", "x", {}, Asked{0.95, 0.98}, {}};
  PathRow alone{"digests of what is loaded, its copy to the device = 1",
                "x",
                {},
                Asked{0.05, 0.05, true},
                {}};
  PathRow longer{"copies to the device with digests, longer than without",
                 "x",
                 {},
                 Asked{0.05, 0.01, true},
                 {}};
  CopyRows work(options);
  CAIRN_CHECK(work.prepare());
  for (unsigned round = 0; round <= options.rounds; ++round) {
    CAIRN_TRY(const double plain, work.plain_down());
    CAIRN_TRY(const double down, work.gather_down());
    if (round == options.rounds) CAIRN_CHECK(work.check());
    CAIRN_TRY(const double bare, work.go_up(true, false));
    CAIRN_TRY(const double both, work.go_up(true, true));
    CAIRN_TRY(const double digests, work.go_up(false, true));
    if (round == 0) continue;  // kernels are loaded, memory is met for the first time
    CAIRN_CHECK(work.add_rates(gathered.copies));
    gathered.values.push_back(down / plain);
    alone.values.push_back(digests / bare);
    longer.values.push_back(both / bare - 1);
  }
  longer.copies = alone.copies = gathered.copies;
  for (PathRow& row : {std::ref(gathered), std::ref(alone), std::ref(longer)}) {
    rows.push_back(std::move(row));
  }
  return {};
}

}  // namespace cairn
