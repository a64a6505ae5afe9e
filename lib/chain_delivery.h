// Decodes units whose copies are made from each other, each copy once, and delivers them. A unit
// that is the cast of another, and that the same device wants, is not decoded: the device makes it.
#pragma once

#include <span>
#include <vector>

#include "lib/load_delivery.h"
#include "store/chain_reader.h"

namespace cairn {

class ChainDelivery {
 public:
  /// REQUIRES: all outlive this.
  ChainDelivery(Checkpoint& checkpoint, PackReader& packs, const LoadDelivery& delivery)
      : checkpoint_(checkpoint), packs_(packs), delivery_(delivery) {}

  /// Errors: those of ChainReader, which do not say of which unit; those of the delivery.
  Status run(std::span<const ReadUnit> chain);

 private:
  /// What is asked for at once: a unit, or one and another that is made of it.
  struct Parcel {
    const ReadUnit* unit = nullptr;
    const ReadUnit* derived = nullptr;
  };

  Result<std::vector<Parcel>> parcels_of(std::span<const ReadUnit> chain) const;
  Status read(std::span<const Parcel> parcels);
  Status deliver(const Parcel& parcel, ByteSpan decoded) const;
  Status deliver_both(const Parcel& parcel, const Unmade& unmade) const;
  Result<bool> send_both(const Parcel& parcel, const Unmade& unmade) const;
  Result<bool> send_residuals(const Parcel& parcel, const Unmade& unmade, Cast cast) const;
  LoadDelivery::Sent sent_of(const Parcel& parcel, const Unmade& unmade) const;
  Status make_both(const Parcel& parcel, const Unmade& unmade) const;

  Checkpoint& checkpoint_;
  PackReader& packs_;
  const LoadDelivery& delivery_;
};

}  // namespace cairn
