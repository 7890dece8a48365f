# `cmake --install build/release`: programs, manual pages, units, accounts. Programs find each other by relative paths; the
# units name the server by its absolute one, so the prefix is chosen when configuring (-DCMAKE_INSTALL_PREFIX=/usr).
# systemd looks for units below /usr and /usr/local; for other prefixes, `systemctl link` them.
include(GNUInstallDirs)

set(PARCOMPUTE_SYSTEM_UNIT_DIR "lib/systemd/system" CACHE STRING "where system units go, below the prefix")
set(PARCOMPUTE_USER_UNIT_DIR "lib/systemd/user" CACHE STRING "where user units go, below the prefix")

# Side by side: a client that finds no server starts one.
install(TARGETS parcompute-client parcompute-server RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
# Only the server starts it.
install(TARGETS parcompute-worker RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/parcompute)

# For programs in C and for the Python package.
install(TARGETS parcompute_c LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES client/c/parcompute.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
configure_file(client/c/parcompute.pc.in ${PROJECT_BINARY_DIR}/parcompute.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/parcompute.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# Units name the server by its absolute path.
foreach(unit IN ITEMS parcompute.service user/parcompute.service)
  configure_file(deploy/systemd/${unit}.in ${PROJECT_BINARY_DIR}/systemd/${unit} @ONLY)
endforeach()
install(FILES ${PROJECT_BINARY_DIR}/systemd/parcompute.service deploy/systemd/parcompute.socket
  DESTINATION ${PARCOMPUTE_SYSTEM_UNIT_DIR})
install(FILES ${PROJECT_BINARY_DIR}/systemd/user/parcompute.service deploy/systemd/user/parcompute.socket
  DESTINATION ${PARCOMPUTE_USER_UNIT_DIR})
install(FILES deploy/sysusers.d/parcompute.conf DESTINATION lib/sysusers.d)
install(FILES deploy/tmpfiles.d/parcompute.conf DESTINATION lib/tmpfiles.d)
install(FILES deploy/man/parcompute-client.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES deploy/man/parcompute-server.8 DESTINATION ${CMAKE_INSTALL_MANDIR}/man8)
