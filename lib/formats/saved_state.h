// The state that a tag holds, as an export wants it.
#pragma once

#include <vector>

#include "lib/formats/export_plan.h"
#include "lib/formats/state.h"

namespace cairn {

struct SavedState {
  StateNode root;
  Bytes objects;  ///< `cairn_objects.pickle`; empty without
  /// `cairn_torch.pickle`, where it holds for what is exported; empty otherwise.
  Bytes torch;
  bool is_whole = true;   ///< all tensors are exported, under the stored names
  bool has_more = false;  ///< the tag's state holds values that are left out
};

/// Of the tensors that are exported. Names and keys are as they are exported, StateNode::name and
/// StateNode::tied as they are stored. With a choice of tensors, or names of their own, nothing but
/// these: a flat dict where they were renamed.
/// Errors: kCorrupt.
Result<SavedState> load_state(Checkpoint& checkpoint, const ExportRequest& request,
                              const std::vector<ExportedTensor>& tensors);

/// Adds the warning that is due where values are left out.
void warn_of_what_stays(bool has_more, ExportResult& result);
/// Whether the tag's state holds values that are no tensors. Errors: kCorrupt.
Result<bool> holds_values(Checkpoint& checkpoint);

/// All bytes of an attachment; empty without one. Errors: kCorrupt.
Result<Bytes> load_attachment(Checkpoint& checkpoint, std::string_view name);

}  // namespace cairn
