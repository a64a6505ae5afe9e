#include "lib/chain_delivery.h"

#include <algorithm>
#include <map>

#include "base/encodings/encode.h"
#include "store/seal.h"

namespace cairn {

/// Units that go together become one parcel, of several that are made of one the first.
Result<std::vector<ChainDelivery::Parcel>> ChainDelivery::parcels_of(
    std::span<const ReadUnit> chain) const {
  std::map<CopyRef, size_t> numbers;
  for (size_t i = 0; i < chain.size(); ++i) numbers[chain[i].ref] = i;
  std::vector<const ReadUnit*> made(chain.size());  // of each unit
  std::vector<bool> is_made(chain.size());
  for (size_t i = 0; i < chain.size(); ++i) {
    const Copy& copy = chain[i].copy;
    if (copy.encoding != Encoding::kDerived || copy.bases.size() != 1) continue;
    CAIRN_TRY(const CopyRef ref, checkpoint_.page_numbers().resolve(copy.bases[0]));
    const auto base = numbers.find(ref);
    if (base == numbers.end() || made[base->second] != nullptr || is_made[base->second]) continue;
    if (made[i] != nullptr || !delivery_.go_together(chain[base->second], chain[i])) continue;
    made[base->second] = &chain[i];
    is_made[i] = true;
  }
  std::vector<Parcel> parcels;
  for (size_t i = 0; i < chain.size(); ++i) {
    if (!is_made[i]) parcels.push_back({&chain[i], made[i]});
  }
  return parcels;
}

Status ChainDelivery::run(std::span<const ReadUnit> chain) {
  // Lengths first: the reader's memory is measured by what is wanted.
  for (const ReadUnit& unit : chain) {
    CAIRN_CHECK(delivery_.check_length(unit, unit.copy.decoded_bytes));
  }
  CAIRN_TRY(const auto parcels, parcels_of(chain));
  return read(parcels);
}

Status ChainDelivery::read(std::span<const Parcel> parcels) {
  std::vector<WantedCopy> wanted;
  for (const Parcel& parcel : parcels) {
    const bool is_pair = parcel.derived != nullptr;
    wanted.push_back({(is_pair ? parcel.derived : parcel.unit)->ref, is_pair});
  }
  return ChainReader(checkpoint_, packs_)
      .read(
          wanted, [&](size_t i, ByteSpan decoded) { return deliver(parcels[i], decoded); },
          [&](size_t i, const Unmade& unmade) { return deliver_both(parcels[i], unmade); });
}

Status ChainDelivery::deliver(const Parcel& parcel, ByteSpan decoded) const {
  // gc may have moved the page since the unit was found: it is made of no other any more.
  if (parcel.derived != nullptr) return fail(Code::kCorrupt, "its copy is not as it was found");
  CAIRN_CHECK(delivery_.check_length(*parcel.unit, decoded.size()));
  return delivery_.scatter(*parcel.unit, decoded);
}

Status ChainDelivery::deliver_both(const Parcel& parcel, const Unmade& unmade) const {
  CAIRN_CHECK(delivery_.check_length(*parcel.unit, unmade.base.copy.decoded_bytes));
  CAIRN_CHECK(delivery_.check_length(*parcel.derived, unmade.copy.copy.decoded_bytes));
  if (unmade.base.ref != parcel.unit->ref || unmade.copy.copy.encoding != Encoding::kDerived) {
    return fail(Code::kCorrupt, "its copy is not as it was found");
  }
  CAIRN_TRY(const bool is_sent, send_both(parcel, unmade));
  return is_sent ? Status() : make_both(parcel, unmade);
}

static tl::unexpected<Error> undecodable(const Unmade& unmade, const Error& why) {
  const Copy& copy = unmade.copy.copy;
  return tl::unexpected(about_copy(copy, decode_error(copy, unmade.stored, why)));
}

/// False where the device cannot make the derived one.
Result<bool> ChainDelivery::send_both(const Parcel& parcel, const Unmade& unmade) const {
  const Copy& copy = unmade.copy.copy;
  const auto cast =
      read_cast(codec_parameters(copy), copy.decoded_bytes, unmade.base.copy.decoded_bytes);
  if (!cast) return undecodable(unmade, cast.error());
  if (!are_as_predicted(unmade.stored, copy.decoded_bytes / target_bytes(*cast))) {
    return send_residuals(parcel, unmade, *cast);
  }
  return delivery_.send_with(sent_of(parcel, unmade), *parcel.derived, *cast, {});
}

Result<bool> ChainDelivery::send_residuals(const Parcel& parcel, const Unmade& unmade,
                                           Cast cast) const {
  const Copy& copy = unmade.copy.copy;
  // Many corrections travel as no less than what they correct.
  if (copy.stored_bytes > copy.decoded_bytes / 8) return false;
  thread_local AlignedBuffer room;
  if (room.size() < copy.decoded_bytes) room = AlignedBuffer(copy.decoded_bytes);
  const MutableBytes residuals = room.span().first(copy.decoded_bytes);
  const ItemForm form = {static_cast<uint8_t>(target_bytes(cast)), true};
  const auto read = read_residuals(unmade.stored, form, residuals);
  if (!read) return undecodable(unmade, read.error());
  if (!*read) return false;
  return delivery_.send_with(sent_of(parcel, unmade), *parcel.derived, cast, residuals);
}

/// How the other travels: as it was decoded; or, where the host has not, as it does by itself.
LoadDelivery::Sent ChainDelivery::sent_of(const Parcel& parcel, const Unmade& unmade) const {
  if (unmade.is_base_decoded) {
    return {*parcel.unit, true, 0, [&unmade](MutableBytes out) -> Status {
              std::copy(unmade.base_bytes.begin(), unmade.base_bytes.end(), out.begin());
              return {};
            }};
  }
  const unsigned item_bytes = plane_item_bytes(unmade.base.copy);
  return {*parcel.unit, false, item_bytes, [this, item_bytes, &unmade](MutableBytes out) {
            const Copy& copy = unmade.base.copy;
            return item_bytes > 0 ? packs_.decode_to_planes(copy, unmade.base_bytes, out)
                                  : packs_.decode_unchecked(copy, unmade.base_bytes, out);
          }};
}

/// By the host.
Status ChainDelivery::make_both(const Parcel& parcel, const Unmade& unmade) const {
  ByteSpan base = unmade.base_bytes;
  AlignedBuffer base_room;
  if (!unmade.is_base_decoded) {
    CAIRN_TRY(base, packs_.decode_checked(unmade.base.copy, unmade.base.digest, base, base_room));
  }
  CAIRN_CHECK(delivery_.scatter(*parcel.unit, base));
  const Copy& copy = unmade.copy.copy;
  const AlignedBuffer room(copy.decoded_bytes);
  const MutableBytes made = room.span().first(copy.decoded_bytes);
  const Status done =
      decode(copy.encoding, codec_parameters(copy), unmade.stored, std::span(&base, 1), made);
  if (!done) return undecodable(unmade, done.error());
  if (blake3(made) != unmade.copy.digest) return tl::unexpected(other_digest(copy));
  return delivery_.scatter(*parcel.derived, made);
}

}  // namespace cairn
