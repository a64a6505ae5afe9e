#include "gpu/nccl/nccl_transport.h"

#include <algorithm>
#include <thread>

#include <fmt/format.h>

#include "gpu/rank_sets.h"

namespace cairn::gpu {

using Clock = std::chrono::steady_clock;

static constexpr uint64_t kAligned =
    16;  // pieces of device memory, which NCCL then copies in vectors

static constexpr std::chrono::milliseconds kBetweenLooks{100};

static std::string seconds(std::chrono::milliseconds time) {
  return fmt::format("{} s", static_cast<double>(time.count()) / 1000);
}

Result<NcclId> NcclTransport::make_id(const NcclLibrary& library) {
  NcclId id;
  if (const int result = library.get_unique_id(&id); result != kNcclSuccess)
    return fail(Code::kFailed,
                fmt::format("making an id of NCCL: {}", library.get_error_string(result)));
  return id;
}

Result<std::unique_ptr<NcclTransport>> NcclTransport::use(
    std::shared_ptr<const NcclLibrary> library, NcclComm communicator, const NcclOptions& options) {
  std::unique_ptr<NcclTransport> made(new NcclTransport(std::move(library), options));
  made->communicator_ = communicator;
  int rank = 0, size = 0;
  int result = made->library_->comm_user_rank(communicator, &rank);
  if (result == kNcclSuccess) result = made->library_->comm_count(communicator, &size);
  if (result != kNcclSuccess)
    return tl::unexpected(made->failed(result, "asking the communicator for its rank"));
  made->rank_ = static_cast<unsigned>(rank);
  made->size_ = static_cast<unsigned>(size);
  CAIRN_CHECK(made->prepare());
  return made;
}

Result<std::unique_ptr<NcclTransport>> NcclTransport::begin(
    std::shared_ptr<const NcclLibrary> library, unsigned rank, unsigned size,
    const NcclOptions& options) {
  std::unique_ptr<NcclTransport> made(new NcclTransport(std::move(library), options));
  made->rank_ = rank;
  made->size_ = size;
  made->is_own_ = true;
  CAIRN_CHECK(made->prepare());
  return made;
}

Status NcclTransport::connect(const NcclId& id) {
  NcclConfig config;
  config.blocking = 0;
  const int result = library_->comm_init_rank_config(&communicator_, static_cast<int>(size_), id,
                                                     static_cast<int>(rank_), &config);
  return settled(result, "making a communicator", options_.making.value_or(options_.timeout));
}

Status NcclTransport::prepare() {
  if (options_.is_done == nullptr)
    return fail(Code::kUsage, "a transport over NCCL cannot ask whether a stream is done");
  if (rank_ >= size_) return fail(Code::kUsage, fmt::format("rank {} of {}", rank_, size_));
  CAIRN_CHECK(check_beside());
  CAIRN_TRY(staging_,
            DeviceMemory::allocate(std::max<uint64_t>(options_.staging_bytes, size_ + 1)));
  return {};
}

Status NcclTransport::check_beside() const {
  const Transport* beside = options_.beside;
  if (beside == nullptr || (beside->rank() == rank_ && beside->size() == size_)) return {};
  return fail(Code::kUsage, fmt::format("rank {} of {} over NCCL is rank {} of {} beside it", rank_,
                                        size_, beside->rank(), beside->size()));
}

Status NcclTransport::meet_beside(Transport& beside) {
  options_.beside = &beside;
  return check_beside();
}

void NcclTransport::break_off() {
  static_cast<void>(broken_by({Code::kCancelled, "the communicator was given up", ""}).has_value());
}

NcclTransport::~NcclTransport() {
  // Giving memory back waits for the device, where a caller's communicator may hang for good.
  if (!is_own_ && !status_) new DeviceMemory(std::move(staging_));
  if (is_own_ && communicator_ != nullptr) library_->comm_destroy(communicator_);
}

void NcclTransport::give_up() {
  if (is_own_ && communicator_ != nullptr) library_->comm_abort(std::exchange(communicator_, {}));
}

Status NcclTransport::broken_by(Error error) {
  if (status_) status_ = tl::unexpected(std::move(error));
  give_up();
  return status_;
}

Error NcclTransport::failed(int result, const char* doing) {
  const char* said = library_->get_error_string(result);
  const char* more = communicator_ == nullptr ? nullptr : library_->get_last_error(communicator_);
  std::string message = fmt::format("{} over NCCL: {}", doing, said == nullptr ? "?" : said);
  if (more != nullptr && *more != 0) message += fmt::format(" ({})", more);
  const bool is_far = result == kNcclRemoteError;
  if (is_far && options_.beside != nullptr) message += find_missing();
  return {is_far ? Code::kUnreachable : Code::kFailed, std::move(message),
          "NCCL_DEBUG=WARN tells more"};
}

Error NcclTransport::timed_out(const char* doing, std::chrono::milliseconds longest) {
  Error error{Code::kUnreachable,
              fmt::format("{} over NCCL was not done within {}", doing, seconds(longest)),
              "see whether all ranks still run; a longer time-out waits longer"};
  if (options_.beside != nullptr) {
    error.message += find_missing();
  } else {
    error.message += "; NCCL does not say which rank is missing";
    error.hint = "give the transport the job's CPU group too, and it names the rank";
  }
  return error;
}

/// Ranks that come here are at the end of their time too, or about to be: they meet beside NCCL.
std::string NcclTransport::find_missing() {
  const uint64_t mine = operations_;
  std::vector<uint64_t> all(size_);
  const Status met = options_.beside->all_gather(
      as_bytes(&mine, sizeof mine),
      {static_cast<uint8_t*>(static_cast<void*>(all.data())), size_ * sizeof mine});
  if (!met) return "; " + met.error().message;
  std::vector<unsigned> behind;
  const uint64_t most = *std::max_element(all.begin(), all.end());
  for (unsigned rank = 0; rank < size_; ++rank)
    if (all[rank] < most) behind.push_back(rank);
  if (!behind.empty()) return fmt::format("; behind the others: {}", named_ranks(behind));
  return "; all ranks answer and wait as well: see the network between their devices";
}

/// What has gone wrong since, on any rank that NCCL knows of.
Status NcclTransport::look(bool& in_progress, const char* doing) {
  int state = kNcclSuccess;
  const int result = library_->comm_get_async_error(communicator_, &state);
  if (result != kNcclSuccess) state = result;
  in_progress = state == kNcclInProgress;
  if (state == kNcclSuccess || in_progress) return {};
  return tl::unexpected(failed(state, doing));
}

Status NcclTransport::wait(const std::function<Result<bool>()>& is_over, const char* doing,
                           std::chrono::milliseconds longest) {
  const auto begin = Clock::now();
  auto next_look = begin + kBetweenLooks;
  for (uint64_t looks = 0;; ++looks) {
    Result<bool> over = is_over();
    if (!over) return broken_by(std::move(over).error());
    if (*over) return {};
    const auto now = Clock::now();
    const auto waited = now - begin;
    if (options_.look && now >= next_look) {
      if (Status seen = options_.look(); !seen) return broken_by(std::move(seen).error());
      next_look = Clock::now() + kBetweenLooks;
    }
    if (waited >= longest) {
      give_up();  // what hangs on the device ends
      return broken_by(timed_out(doing, longest));
    }
    // Short waits are not made longer, long ones take no processor.
    if (looks < 100)
      std::this_thread::yield();
    else
      std::this_thread::sleep_for(
          std::min<Clock::duration>(waited / 16, std::chrono::milliseconds(5)));
  }
}

Status NcclTransport::settled(int result, const char* doing, std::chrono::milliseconds longest) {
  if (result == kNcclSuccess) return {};
  if (result != kNcclInProgress) return broken_by(failed(result, doing));
  return wait(
      [&]() -> Result<bool> {
        bool in_progress = false;
        CAIRN_CHECK(look(in_progress, doing));
        return !in_progress;
      },
      doing, longest);
}

Status NcclTransport::finish(Stream stream) {
  if (!status_) return status_;
  const char* doing = "a broadcast or an all-gather";
  return wait(
      [&]() -> Result<bool> {
        bool in_progress = false;
        CAIRN_CHECK(look(in_progress, doing));
        if (in_progress) return false;
        return options_.is_done(stream);
      },
      doing, options_.timeout);
}

Status NcclTransport::broadcast(Stream stream, DeviceSpan bytes, unsigned root) {
  if (!status_) return status_;
  CAIRN_CHECK(check_root(root));
  ++operations_;
  return settled(library_->broadcast(bytes.data, bytes.data, bytes.bytes, kNcclUint8,
                                     static_cast<int>(root), communicator_, stream.handle),
                 "beginning a broadcast");
}

/// `bytes` of each rank, through the staging memory: this rank's behind those of all.
Status NcclTransport::gather_piece(ByteSpan own, MutableBytes all, uint64_t at, uint64_t bytes) {
  const Stream stream = options_.stream;
  uint8_t* mine = staging_.data() + bytes * size_;
  CAIRN_CHECK(copy_up(stream, mine, own.subspan(at, bytes)));
  ++operations_;
  CAIRN_CHECK(settled(
      library_->all_gather(mine, staging_.data(), bytes, kNcclUint8, communicator_, stream.handle),
      "beginning an all-gather"));
  CAIRN_CHECK(finish(stream));
  for (unsigned rank = 0; rank < size_; ++rank)
    CAIRN_CHECK(copy_down(stream, all.subspan(rank * own.size() + at, bytes),
                          staging_.data() + rank * bytes));
  return synchronize(stream);
}

Status NcclTransport::all_gather(ByteSpan own, MutableBytes all) {
  if (!status_) return status_;
  CAIRN_CHECK(check_gather(own, all));
  uint64_t share = staging_.size() / (size_ + 1);
  if (share > kAligned) share = share / kAligned * kAligned;
  for (uint64_t at = 0; at < own.size(); at += share) {
    Status done = gather_piece(own, all, at, std::min<uint64_t>(share, own.size() - at));
    if (!done) return broken_by(std::move(done).error());
  }
  return {};
}

}  // namespace cairn::gpu
