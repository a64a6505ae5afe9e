// A store by the words of a user: a folder, or the URL of one.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "store/remote/open_backend.h"
#include "store/store.h"

namespace cairn {

/// A store, and what its files are read through.
class OpenStore {
 public:
  OpenStore(std::unique_ptr<Fs> fs, std::unique_ptr<Store> store)
      : fs_(std::move(fs)), store_(std::move(store)) {}

  const Store& operator*() const { return *store_; }
  const Store* operator->() const { return store_.get(); }

 private:
  std::unique_ptr<Fs> fs_;  // null for a folder
  std::unique_ptr<Store> store_;
};

using remote::folder_of;
using remote::is_remote;

/// Errors: as Store::open; kUsage for a URL of a scheme that is not known; those of the remote.
Result<OpenStore> open_store(const std::string& place, const remote::RemoteOptions& options = {});
/// The same; nullopt where there is none and one may be made. Changes nothing.
Result<std::optional<OpenStore>> find_store(const std::string& place,
                                            const remote::RemoteOptions& options = {});
/// The same, where there is no store yet one with the chunk rule of `like`: `was_made` tells.
/// Should another process make one at that moment, it is that one.
Result<OpenStore> open_or_make_store(const std::string& place, const Config& like, bool& was_made,
                                     const remote::RemoteOptions& options = {});
/// Makes an empty store. Errors: as Store::init; kUsage where nothing can be written.
Status init_store(const std::string& place, const Config& config,
                  const remote::RemoteOptions& options = {});

}  // namespace cairn
