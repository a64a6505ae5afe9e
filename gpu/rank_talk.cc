#include "gpu/rank_talk.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "gpu/rank_sets.h"
#include "gpu/replica_table.h"

namespace cairn::gpu {

// A status: 4 bytes of magic, 1 of the code (0: none; one more than Code's number), 1 that is 0,
// 2 of the message's length, 2 of the hint's; then both.
static constexpr uint32_t kMagic = 0x6e72'6163;  // "carn"
static constexpr uint64_t kHeadBytes = 10, kHintMost = 256;
static constexpr uint64_t kMessageMost = kToldStatusBytes - kHeadBytes - kHintMost;

// A header: version, digest, status. The version stays where it is in all that will come, and the
// header as long.
static constexpr uint32_t kVersion = 1;
static constexpr uint64_t kDigestAt = 8, kStatusAt = 40;
static constexpr uint64_t kHeaderBytes = kStatusAt + kToldStatusBytes;

/// Without half of a character at its end.
static std::string_view cut(std::string_view text, uint64_t most) {
  if (text.size() <= most) return text;
  while (most > 0 && (static_cast<uint8_t>(text[most]) & 0xC0) == 0x80) --most;
  return text.substr(0, most);
}

void tell_status(const Status& status, MutableBytes out) {
  std::fill(out.begin(), out.end(), 0);
  store_le(out, 0, kMagic);
  if (status) return;
  const std::string_view message = cut(status.error().message, kMessageMost);
  const std::string_view hint = cut(status.error().hint, kHintMost);
  out[4] = static_cast<uint8_t>(static_cast<uint8_t>(status.error().code) + 1);
  store_le(out, 6, static_cast<uint16_t>(message.size()));
  store_le(out, 8, static_cast<uint16_t>(hint.size()));
  std::copy(message.begin(), message.end(), out.begin() + kHeadBytes);
  std::copy(hint.begin(), hint.end(), out.begin() + kHeadBytes + message.size());
}

Status told_status(ByteSpan told) {
  const uint64_t message = load_le<uint16_t>(told, 6), hint = load_le<uint16_t>(told, 8);
  const unsigned code = told[4];
  if (load_le<uint32_t>(told) != kMagic || code > static_cast<unsigned>(Code::kBug) + 1 ||
      message > kMessageMost || hint > kHintMost)
    return fail(Code::kCorrupt, "what came is no status of a rank");
  if (code == 0) return {};
  return fail(static_cast<Code>(code - 1), std::string(as_text(told.subspan(kHeadBytes, message))),
              std::string(as_text(told.subspan(kHeadBytes + message, hint))));
}

Error error_of(unsigned rank, Error error) {
  error.message = fmt::format("rank {}: {}", rank, error.message);
  return error;
}

/// Ranks by what `of` says of them, most of them first, as sides of a disagreement are.
template <class Of>
static std::vector<ReplicaSide> sides(unsigned size, const Of& of) {
  std::vector<ReplicaSide> found;
  for (unsigned rank = 0; rank < size; ++rank) {
    const Digest digest = of(rank);
    auto side = std::find_if(found.begin(), found.end(),
                             [&](const ReplicaSide& each) { return each.digest == digest; });
    if (side == found.end()) side = found.insert(side, {digest, {}});
    side->ranks.push_back(rank);
  }
  std::stable_sort(found.begin(), found.end(), [](const ReplicaSide& a, const ReplicaSide& b) {
    return a.ranks.size() > b.ranks.size();
  });
  return found;
}

/// "rank 3 differs from that of ranks 0 and 1".
static std::string named_difference(const std::vector<ReplicaSide>& sides) {
  std::vector<unsigned> odd;
  for (size_t i = 1; i < sides.size(); ++i)
    odd.insert(odd.end(), sides[i].ranks.begin(), sides[i].ranks.end());
  std::sort(odd.begin(), odd.end());
  return fmt::format("{} differs from that of {}", named_ranks(odd), named_ranks(sides[0].ranks));
}

Result<std::vector<Digest>> tell_all(Transport& transport, const Status& own,
                                     const Digest& digest) {
  const unsigned size = transport.size();
  Bytes mine(kHeaderBytes), all(kHeaderBytes * size);
  store_le(mine, 0, kVersion);
  std::copy(digest.bytes.begin(), digest.bytes.end(), mine.begin() + kDigestAt);
  tell_status(own, MutableBytes(mine).subspan(kStatusAt));
  const Status heard = transport.all_gather(mine, all);
  if (!own) return tl::unexpected(own.error());
  CAIRN_CHECK(heard);

  const auto header = [&](unsigned rank) {
    return ByteSpan(all).subspan(rank * kHeaderBytes, kHeaderBytes);
  };
  for (unsigned rank = 0; rank < size; ++rank)
    if (const auto version = load_le<uint32_t>(header(rank)); version != kVersion)
      return fail(Code::kNewerFormat,
                  fmt::format("rank {} speaks version {} of the exchange, rank {} version {}", rank,
                              version, transport.rank(), kVersion),
                  "run one version of Cairn on all ranks");
  for (unsigned rank = 0; rank < size; ++rank)
    if (Status status = told_status(header(rank).subspan(kStatusAt)); !status)
      return tl::unexpected(error_of(rank, std::move(status).error()));
  std::vector<Digest> told(size);
  for (unsigned rank = 0; rank < size; ++rank)
    std::copy_n(header(rank).begin() + kDigestAt, digest.bytes.size(), told[rank].bytes.begin());
  return told;
}

Status agree(Transport& transport, std::string_view what, const Status& own, const Digest& digest) {
  CAIRN_TRY(const auto told, tell_all(transport, own, digest));
  const auto by_digest = sides(transport.size(), [&](unsigned rank) { return told[rank]; });
  if (by_digest.size() == 1) return {};
  return fail(Code::kUsage, fmt::format("the {} of {}", what, named_difference(by_digest)),
              "all ranks must name the same in the same order");
}

}  // namespace cairn::gpu
