# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Completion for shells: one file for all tools.  bash looks for a file of the command's
# name, so each tool has a link to it.  zsh looks where its own fpath says: Debian's has
# vendor-completions for packages below /usr, and site-functions below /usr/local.

set(bash_dir ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES completion/nearheap.bash DESTINATION ${bash_dir} RENAME nearheap COMPONENT tools)
set(zsh_dir ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
if(NEARHEAP_PACKAGE)
    set(zsh_dir ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
endif()
install(FILES completion/_nearheap DESTINATION ${zsh_dir} COMPONENT tools)
get_property(names GLOBAL PROPERTY NEARHEAP_OPERATOR_TOOLS)
foreach(name ${names})
    set(link ${CMAKE_CURRENT_BINARY_DIR}/links/completion/${name})
    file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/links/completion)
    file(CREATE_LINK nearheap ${link} SYMBOLIC)
    install(FILES ${link} DESTINATION ${bash_dir} COMPONENT tools)
endforeach()
