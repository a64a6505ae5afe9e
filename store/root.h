// The file `root`: reading it, and the one way to change it (docs/PROTOCOL.md).
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "base/fs.h"
#include "store/root_format.h"

namespace cairn {

/// Errors: kCorrupt, also when it is missing, kNewerFormat. Takes no lock.
Result<Root> read_root(Fs& fs, const std::string& store_path);

enum class RootChange : uint8_t {
  kReplace,  ///< by the root as it was edited
  kKeep,     ///< what was wanted stands there already: only make sure that it is durable
};

/// Replaces the root in one step, against every other process.
/// `change` sees the root as it is under the lock, and edits it or refuses. Where there are no
/// locks (Fs::conditional) it sees the root that its edit will replace, and is called again when
/// another process has replaced that first. `writer` names the temporary file. Errors: kBusy when
/// the lock is held longer than `wait`. After an error `may_be_visible` tells whether someone may
/// have seen the change nevertheless (the rename was tried): what it refers to must then be kept.
Status change_root(Fs& fs, const std::string& store_path, const SessionId& writer, const Wait& wait,
                   const std::function<Result<RootChange>(Root&)>& change, bool& may_be_visible);

}  // namespace cairn
