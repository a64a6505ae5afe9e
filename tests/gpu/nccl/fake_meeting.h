// Where the ranks of one communicator of the fake NCCL meet: in the memory of a process, or in a
// folder, for ranks that are processes.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gpu/nccl/nccl_library.h"

/// What ranks brought, under names that one of them uses once. One thread at a time.
class FakeMeeting {
 public:
  virtual ~FakeMeeting() = default;
  virtual void bring(const std::string& name, std::vector<uint8_t> bytes) = 0;
  /// Null: it is not there yet. Valid as long as the meeting.
  virtual const std::vector<uint8_t>* find(const std::string& name) = 0;

  /// One that no other process takes.
  static cairn::gpu::NcclId new_id();
  /// That of an id: in the folder that CAIRN_FAKE_NCCL_FOLDER names, if one is.
  static std::shared_ptr<FakeMeeting> of(const cairn::gpu::NcclId& id);
  /// Whether others are threads of this process, who say when they bring something.
  static bool is_in_memory();
};
