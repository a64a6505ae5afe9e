#include "store/chain_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "store/decode_order.h"
#include "store/seal.h"

namespace cairn {
namespace {

/// Buffers that were used before cost no page faults. One list a thread.
class Buffers {
 public:
  static std::shared_ptr<AlignedBuffer> take(uint64_t bytes) {
    auto& spare = list();
    for (size_t i = spare.size(); i-- > 0;) {
      if (spare[i]->size() < bytes) continue;
      auto found = std::move(spare[i]);
      spare.erase(spare.begin() + static_cast<ptrdiff_t>(i));
      return wrap(std::move(found));
    }
    return wrap(std::make_unique<AlignedBuffer>(bytes));
  }

 private:
  static constexpr size_t kSpareMax = 12;
  static constexpr uint64_t kSpareBytesMax = 8 * kMiB;

  static std::vector<std::unique_ptr<AlignedBuffer>>& list() {
    // With room from the beginning: what gives a buffer back must not throw.
    thread_local auto spare = [] {
      std::vector<std::unique_ptr<AlignedBuffer>> empty;
      empty.reserve(kSpareMax);
      return empty;
    }();
    return spare;
  }
  static std::shared_ptr<AlignedBuffer> wrap(std::unique_ptr<AlignedBuffer> buffer) {
    return {buffer.release(), [](AlignedBuffer* used) {
              std::unique_ptr<AlignedBuffer> own(used);
              if (own->size() > kSpareBytesMax) return;
              if (list().size() == kSpareMax) list().erase(list().begin());
              list().push_back(std::move(own));
            }};
  }
};

/// Bytes, and what keeps them alive.
struct Held {
  ByteSpan bytes;
  std::shared_ptr<AlignedBuffer> buffer;
  bool has_room_of_its_own = false;  ///< nothing else lies in the buffer
};

/// The stored bytes of a plan's copies, read where they are first needed; those of neighbours that
/// are needed much later may be read again.
class StoredBytes {
 public:
  StoredBytes(const std::vector<PlannedCopy>& copies, PackReader& packs) : packs_(packs) {
    // Those without stored bytes are never taken: no job must wait for them.
    for (uint32_t number = 0; number < copies.size(); ++number) {
      if (copies[number].copy.stored_bytes != 0) order_.push_back(number);
    }
    std::sort(order_.begin(), order_.end(), [&](uint32_t a, uint32_t b) {
      const Copy &x = copies[a].copy, &y = copies[b].copy;
      return std::tie(x.pack, x.offset) < std::tie(y.pack, y.offset);
    });
    std::vector<PackRange> ranges;
    for (const uint32_t number : order_) {
      const Copy& copy = copies[number].copy;
      ranges.push_back({copy.pack, copy.offset, copy.offset + copy.stored_bytes});
    }
    jobs_ = join_ranges(ranges, packs.habits());
    job_of_.resize(copies.size());
    for (uint32_t job = 0; job < jobs_.size(); ++job) {
      for (size_t i = jobs_[job].first; i < jobs_[job].first + jobs_[job].count; ++i) {
        job_of_[order_[i]] = job;
      }
    }
    read_.resize(jobs_.size());
    left_.resize(jobs_.size());
    for (size_t job = 0; job < jobs_.size(); ++job) left_[job] = jobs_[job].count;
  }

  /// To be taken once.
  Result<Held> take(uint32_t number, const Copy& copy) {
    if (copy.stored_bytes == 0) return Held{};
    const uint32_t job = job_of_[number];
    const PackRange& range = jobs_[job].bytes;
    Held& held = read_[job];
    if (held.buffer == nullptr) {
      const uint64_t bytes = range.end - range.begin;
      if (waiting_bytes_ + bytes > kWaitingBytesMax) give_up_all();
      held.buffer = Buffers::take(bytes + 2 * kDirectAlignment);
      waiting_bytes_ += bytes;
      CAIRN_TRY(held.bytes, packs_.read(range, *held.buffer));
    }
    const Held taken{held.bytes.subspan(copy.offset - range.begin, copy.stored_bytes), held.buffer};
    if (--left_[job] == 0) give_up(job);
    return taken;
  }

 private:
  static constexpr uint64_t kWaitingBytesMax = 64 * kMiB;

  void give_up(size_t job) {
    if (read_[job].buffer != nullptr)
      waiting_bytes_ -= jobs_[job].bytes.end - jobs_[job].bytes.begin;
    read_[job] = {};
  }
  void give_up_all() {
    for (size_t job = 0; job < jobs_.size(); ++job) give_up(job);
  }

  PackReader& packs_;
  std::vector<uint32_t> order_;  // numbers of copies that have stored bytes, as they lie
  std::vector<ReadJob> jobs_;
  std::vector<uint32_t> job_of_;  // per copy
  std::vector<Held> read_;        // per job
  std::vector<size_t> left_;      // per job, copies not taken yet
  uint64_t waiting_bytes_ = 0;    // of all that is read
};

Status check_digest(const PlannedCopy& planned, ByteSpan decoded) {
  if (blake3(decoded) == planned.digest) return {};
  return tl::unexpected(
      about_copy(planned.copy, {Code::kCorrupt, "the bytes do not match their digest", ""}));
}

/// What is done with a copy of a plan.
enum class Fate : uint8_t {
  kDecoded,
  kHandedOn,    // with its base, for others to make it
  kLeftStored,  // the base of such
};

/// One walk through a plan.
class Walk {
 public:
  /// `fates`: of each copy; empty: all are decoded.
  Walk(const DecodePlan& plan, PackReader& packs, std::vector<Fate> fates = {})
      : plan_(plan),
        packs_(packs),
        stored_(plan.copies, packs),
        fates_(std::move(fates)),
        decoded_(plan.copies.size()) {
    fates_.resize(plan.copies.size());
    users_.resize(plan.copies.size());
    for (const PlannedCopy& planned : plan.copies) {
      for (const uint32_t base : planned.bases) ++users_[base];
    }
  }

  /// Calls visit(number, decoded) for each copy, in order, or hand_on(number, unmade).
  template <class Visit, class HandOn>
  Status run(const Visit& visit, const HandOn& hand_on) {
    for (uint32_t number = 0; number < plan_.copies.size(); ++number) {
      const PlannedCopy& planned = plan_.copies[number];
      auto taken = take(number);
      if (!taken) return tl::unexpected(about_copy(planned.copy, taken.error()));
      if (fates_[number] == Fate::kLeftStored) {
        decoded_[number] = *std::move(taken);
        continue;
      }
      if (fates_[number] == Fate::kHandedOn) {
        CAIRN_CHECK(hand_on(number, unmade(planned, taken->bytes)));
      }
      if (fates_[number] == Fate::kDecoded || users_[number] != 0) {
        auto decoded = decode_one(number, *std::move(taken));
        if (!decoded) return tl::unexpected(about_copy(planned.copy, decoded.error()));
        if (fates_[number] == Fate::kDecoded) CAIRN_CHECK(visit(number, decoded->bytes));
        if (users_[number] != 0) decoded_[number] = alone(*std::move(decoded));
      }
      for (const uint32_t base : planned.bases) {
        if (--users_[base] == 0) decoded_[base] = {};
      }
    }
    return {};
  }

 private:
  Result<Held> take(uint32_t number) {
    const Copy& copy = plan_.copies[number].copy;
    CAIRN_CHECK(packs_.check_size(copy));
    return stored_.take(number, copy);
  }

  Unmade unmade(const PlannedCopy& planned, ByteSpan stored) const {
    const uint32_t base = planned.bases.front();
    return {planned, plan_.copies[base], stored, decoded_[base].bytes,
            fates_[base] != Fate::kLeftStored};
  }

  Result<Held> decode_one(uint32_t number, Held stored) {
    const Copy& copy = plan_.copies[number].copy;
    if (copy.encoding == Encoding::kRaw && stored.bytes.size() == copy.decoded_bytes) return stored;
    std::vector<ByteSpan> bases;
    for (const uint32_t base : plan_.copies[number].bases) bases.push_back(decoded_[base].bytes);
    Held decoded = room_for(number);
    const MutableBytes out = decoded.buffer->span().first(copy.decoded_bytes);
    const Status done = decode(copy.encoding, codec_parameters(copy), stored.bytes, bases, out);
    if (!done) return tl::unexpected(decode_error(copy, stored.bytes, done.error()));
    decoded.bytes = out;
    return decoded;
  }

  /// A raw copy must not keep all that was read with it.
  static Held alone(Held held) {
    if (held.buffer == nullptr || held.has_room_of_its_own) return held;
    if (held.buffer->size() <= held.bytes.size() + 4 * kDirectAlignment) return held;
    Held copied{{}, Buffers::take(held.bytes.size()), true};
    const MutableBytes room = copied.buffer->span().first(held.bytes.size());
    std::copy(held.bytes.begin(), held.bytes.end(), room.begin());
    copied.bytes = room;
    return copied;
  }

  /// Where the copy is decoded: over its base where that is allowed and nobody else needs it, so
  /// that what does not change is not touched.
  Held room_for(uint32_t number) {
    const PlannedCopy& planned = plan_.copies[number];
    const Copy& copy = planned.copy;
    const bool may_overlap =
        copy.encoding == Encoding::kDelta || copy.encoding == Encoding::kSparse;
    if (may_overlap && planned.bases.size() == 1) {
      const Held& base = decoded_[planned.bases[0]];
      const bool is_last = users_[planned.bases[0]] == 1;
      if (is_last && base.has_room_of_its_own && base.bytes.size() == copy.decoded_bytes) {
        return {{}, base.buffer, true};
      }
    }
    return {{}, Buffers::take(copy.decoded_bytes), true};
  }

  const DecodePlan& plan_;
  const PackReader& packs_;
  StoredBytes stored_;
  std::vector<Fate> fates_;
  std::vector<uint32_t> users_;  // that are not decoded yet
  std::vector<Held> decoded_;    // or, of some, stored
};

/// A base stays as it is stored where it stands by itself and is wanted for nothing else.
std::vector<Fate> fates_of(const DecodePlan& plan, std::span<const WantedCopy> wanted) {
  std::vector<Fate> fates(plan.copies.size(), Fate::kDecoded);
  std::vector<bool> is_needed(plan.copies.size());  // decoded
  for (size_t i = 0; i < plan.wanted.size(); ++i) {
    const uint32_t number = plan.wanted[i];
    const bool has_one_base = plan.copies[number].bases.size() == 1;
    const bool is_handed_on = wanted[i].is_for_others_to_make && has_one_base;
    if (is_handed_on) fates[number] = Fate::kHandedOn;
    if (!is_handed_on) is_needed[number] = true;
  }
  for (size_t number = plan.copies.size(); number-- > 0;) {
    const bool is_decoded = fates[number] == Fate::kDecoded || is_needed[number];
    for (const uint32_t base : plan.copies[number].bases) {
      if (is_decoded || !plan.copies[base].bases.empty()) is_needed[base] = true;
    }
  }
  for (uint32_t number = 0; number < plan.copies.size(); ++number) {
    if (fates[number] != Fate::kHandedOn) continue;
    const uint32_t base = plan.copies[number].bases.front();
    if (!is_needed[base]) fates[base] = Fate::kLeftStored;
  }
  return fates;
}

}  // namespace

Status ChainReader::read_all(const DecodePlan& plan, const DeliverCopy& deliver) {
  const auto visit = [&](uint32_t number, ByteSpan decoded) -> Status {
    CAIRN_CHECK(check_digest(plan.copies[number], decoded));
    return deliver(number, decoded);
  };
  return Walk(plan, packs_).run(visit, [](uint32_t, const Unmade&) { return Status(); });
}

Status ChainReader::read(std::span<const CopyRef> wanted, const DeliverCopy& deliver) {
  std::vector<WantedCopy> copies;
  for (const CopyRef& ref : wanted) copies.push_back({ref});
  return read(copies, deliver, [](size_t, const Unmade&) { return Status(); });
}

Status ChainReader::read(std::span<const WantedCopy> wanted, const DeliverCopy& deliver,
                         const DeliverUnmade& deliver_unmade) {
  std::vector<CopyRef> refs;
  for (const WantedCopy& copy : wanted) refs.push_back(copy.ref);
  return plan_in_parts(checkpoint_, refs, [&](size_t first, const DecodePlan& plan) {
    return read_part(
        plan, wanted.subspan(first, plan.wanted.size()),
        [&](size_t number, ByteSpan decoded) { return deliver(first + number, decoded); },
        [&](size_t number, const Unmade& unmade) {
          return deliver_unmade(first + number, unmade);
        });
  });
}

Status ChainReader::read_part(const DecodePlan& plan, std::span<const WantedCopy> wanted,
                              const DeliverCopy& deliver, const DeliverUnmade& deliver_unmade) {
  std::vector<std::vector<size_t>> asked(plan.copies.size());
  for (size_t i = 0; i < plan.wanted.size(); ++i) asked[plan.wanted[i]].push_back(i);
  // The digests of what comes out vouch for everything it was made from.
  bool is_delivered = true;
  const auto visit = [&](uint32_t number, ByteSpan decoded) -> Status {
    if (asked[number].empty()) return {};
    CAIRN_CHECK(check_digest(plan.copies[number], decoded));
    Status delivered;
    for (size_t i = 0; i < asked[number].size() && delivered; ++i) {
      delivered = deliver(asked[number][i], decoded);
    }
    is_delivered = delivered.has_value();
    return delivered;
  };
  const auto hand_on = [&](uint32_t number, const Unmade& unmade) -> Status {
    if (unmade.is_base_decoded) CAIRN_CHECK(check_digest(unmade.base, unmade.base_bytes));
    const Status delivered = deliver_unmade(asked[number].front(), unmade);
    is_delivered = delivered.has_value();
    return delivered;
  };
  const Status done = Walk(plan, packs_, fates_of(plan, wanted)).run(visit, hand_on);
  if (done || !is_delivered || done.error().code != Code::kCorrupt) return done;
  // It may be a copy further down that is to blame, also where this one could not be decoded: the
  // first of the plan that is wrong.
  CAIRN_CHECK(read_all(plan, [](size_t, ByteSpan) { return Status(); }));
  return done;
}

}  // namespace cairn
