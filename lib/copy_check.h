// The stored copies of a check: is each there, does its pack know it, do its bytes have its digest?
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "lib/check.h"
#include "store/copy_place.h"
#include "store/locator.h"
#include "store/pack_format.h"
#include "store/pack_reader.h"
#include "store/store.h"

namespace cairn {

/// Whether the error is a finding of the check, rather than its end: what could not be read this
/// time may be whole.
bool is_damage(const Error& error);

/// Errors: kCancelled when the caller of the check wants it to end.
Status not_stopped(const CheckRequest& request);

/// A copy as a locator tells of it. One that names a wrong encoding is another copy.
using ToldCopy = std::tuple<FileId, CopyPlace, Encoding>;
ToldCopy as_told(const Copy& copy);

struct CopyDamage {
  std::string kind, message;
};

/// add() every copy, then check_packs(), then, if asked, read_data(); find() says what they found.
/// Threads: one; it uses threads of its own.
class CopyCheck {
 public:
  CopyCheck(const Store& store, const CheckRequest& request, CheckReport& report)
      : store_(store), request_(request), report_(report), packs_(store) {}

  /// Takes over what another check found about copies in packs that are still there: a random part
  /// of the data would hardly meet it again.
  void know(const CopyCheck& earlier);

  void add(const Copy& copy, const Digest& digest) { copies_.push_back({copy, digest}); }

  /// Looks at every pack that copies lie in: there, long enough, its table whole and of one mind
  /// with the locators.
  Status check_packs();
  /// Reads request.read_percent of the copies that seem readable, in the order in which they lie.
  Status read_data();

  bool found_none() const { return damaged_.empty(); }
  /// What is wrong with the copy, or nullptr.
  const CopyDamage* find(const Copy& copy) const;
  /// Notes something that was found elsewhere. The first finding about a copy stands.
  void damage(const Copy& copy, std::string kind, std::string message);

 private:
  struct NeededCopy {
    Copy copy;
    Digest digest;
  };
  static bool lies_before(const NeededCopy& a, const NeededCopy& b);

  void sort_copies();
  Status check_pack(std::span<const NeededCopy> needed);
  void compare(std::span<const NeededCopy> needed, std::span<const PackedCopy> rows);
  std::vector<NeededCopy> choose_copies() const;
  Status read_job(std::span<const NeededCopy> needed, const PackRange& range);

  const Store& store_;
  const CheckRequest& request_;
  CheckReport& report_;
  PackReader packs_;
  std::vector<NeededCopy> copies_;
  std::mutex mutex_;  // guards damaged_ and report_.out_of_time while data is read
  std::map<ToldCopy, CopyDamage> damaged_;
};

}  // namespace cairn
