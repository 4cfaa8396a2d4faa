# The build that the handshake tells: a digest of what every port shares, so that two ports of one source say the same.
file(GLOB_RECURSE BT_SHARED CONFIGURE_DEPENDS ${BT_FIRMWARE}/runtime/*.[ch] ${BT_FIRMWARE}/protocol/*.[ch]
     ${BT_FIRMWARE}/app/*.[ch] ${BT_FIRMWARE}/trust/*.[ch] ${BT_FIRMWARE}/include/*.h)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${BT_SHARED})
list(SORT BT_SHARED)
set(BT_DIGESTS "")
foreach(BT_FILE ${BT_SHARED})
  file(SHA256 ${BT_FILE} BT_DIGEST)
  string(APPEND BT_DIGESTS ${BT_DIGEST})
endforeach()
string(SHA256 BT_BUILD "${BT_DIGESTS}")
string(SUBSTRING ${BT_BUILD} 0 12 BT_BUILD)
set_source_files_properties(${BT_FIRMWARE}/app/requests.c PROPERTIES COMPILE_DEFINITIONS "BT_BUILD=\"${BT_BUILD}\"")
