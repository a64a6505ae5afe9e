// Leases: what a session counts on comes back, and no lease is longer than a collector reads.
#include "store/lease.h"

#include <gtest/gtest.h>

namespace cairn {
namespace {

Reference some_reference(uint8_t byte) {
  Reference reference{{*SessionId::fresh(), byte}, 8, 9, {}};
  reference.digest.bytes[3] = byte;
  return reference;
}

Lease some_lease(size_t packs) {
  Lease lease{LeaseKind::kSave, {"a host", 7, 11}, "2026-01-01T00:00:00Z", "run/2", {}};
  lease.base = LeasedBase{"run/1",           some_reference(1), some_reference(2),
                          some_reference(3), some_reference(4), {}};
  const SessionId session = *SessionId::fresh();
  for (size_t i = 0; i < packs; ++i) {
    lease.base->packs.push_back({session, UINT32_MAX - static_cast<uint32_t>(i)});
  }
  return lease;
}

TEST(Lease, ComesBack) {
  const Lease lease = some_lease(3);
  const auto decoded = decode_lease(as_bytes(encode_lease(lease)), "sessions/x");
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(decoded->owner.host, "a host");
  EXPECT_EQ(decoded->owner.pid, 7);
  EXPECT_EQ(decoded->owner.start, 11u);
  EXPECT_EQ(decoded->tag, "run/2");
  ASSERT_TRUE(decoded->base);
  EXPECT_EQ(decoded->base->table, lease.base->table);
  EXPECT_EQ(decoded->base->layout, lease.base->layout);
  EXPECT_EQ(decoded->base->packs, lease.base->packs);
}

TEST(Lease, TheLongestCanBeRead) {
  Lease lease = some_lease(kLeasedPacksMax);
  lease.owner.host = std::string(255, '\x01');
  lease.tag = lease.base->tag = std::string(200, 'x');
  const std::string text = encode_lease(lease);
  EXPECT_LE(text.size(), kLeaseBytesMax);
  EXPECT_TRUE(decode_lease(as_bytes(text), "sessions/x"));
}

}  // namespace
}  // namespace cairn
