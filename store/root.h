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

/// Replaces the root in one step, against every other process.
/// `change` sees the root as it is under the lock, and edits it or refuses; it may be called once.
/// `writer` names the temporary file. Errors: kBusy when the lock is held longer than `wait`.
/// When this fails after the rename, the change may or may not survive a power cut: read the root.
Status change_root(Fs& fs, const std::string& store_path, const SessionId& writer,
                   std::chrono::milliseconds wait, const std::function<Status(Root&)>& change);

}  // namespace cairn
