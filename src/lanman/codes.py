"""Every code that the peers and this program speak in: Win32, NERR, NTSTATUS, RPC faults, and NET's own messages.

A Net* function answers with one number that mixes Win32 codes (MS-ERREF 2.2) and NERR codes (2100 to 2999, "Network
Management Error Codes"); SMB answers with an NTSTATUS (MS-ERREF 2.3); a DCE/RPC fault carries either, or one of the
NCA codes of C706 appendix E. The constants are plain ints under the names of the specifications.
The texts are the fixed system strings that people search for: those of FormatMessage where MS-ERREF words it otherwise.
"""

from __future__ import annotations

from typing import Final

# Win32 codes (MS-ERREF 2.2).
ERROR_SUCCESS: Final = 0
ERROR_INVALID_FUNCTION: Final = 1
ERROR_FILE_NOT_FOUND: Final = 2
ERROR_PATH_NOT_FOUND: Final = 3
ERROR_TOO_MANY_OPEN_FILES: Final = 4
ERROR_ACCESS_DENIED: Final = 5
ERROR_INVALID_HANDLE: Final = 6
ERROR_NOT_ENOUGH_MEMORY: Final = 8
ERROR_INVALID_DATA: Final = 13
ERROR_OUTOFMEMORY: Final = 14
ERROR_NOT_SAME_DEVICE: Final = 17
ERROR_NO_MORE_FILES: Final = 18
ERROR_WRITE_PROTECT: Final = 19
ERROR_NOT_READY: Final = 21
ERROR_BAD_LENGTH: Final = 24
ERROR_GEN_FAILURE: Final = 31
ERROR_SHARING_VIOLATION: Final = 32
ERROR_LOCK_VIOLATION: Final = 33
ERROR_HANDLE_EOF: Final = 38
ERROR_NOT_SUPPORTED: Final = 50
ERROR_REM_NOT_LIST: Final = 51
ERROR_DUP_NAME: Final = 52
ERROR_BAD_NETPATH: Final = 53
ERROR_NETWORK_BUSY: Final = 54
ERROR_DEV_NOT_EXIST: Final = 55
ERROR_BAD_NET_RESP: Final = 58
ERROR_UNEXP_NET_ERR: Final = 59
ERROR_NETNAME_DELETED: Final = 64
ERROR_NETWORK_ACCESS_DENIED: Final = 65
ERROR_BAD_DEV_TYPE: Final = 66
ERROR_BAD_NET_NAME: Final = 67
ERROR_TOO_MANY_NAMES: Final = 68
ERROR_TOO_MANY_SESS: Final = 69
ERROR_SHARING_PAUSED: Final = 70
ERROR_REQ_NOT_ACCEP: Final = 71
ERROR_FILE_EXISTS: Final = 80
ERROR_INVALID_PASSWORD: Final = 86
ERROR_INVALID_PARAMETER: Final = 87
ERROR_NO_PROC_SLOTS: Final = 89
ERROR_BROKEN_PIPE: Final = 109
ERROR_BUFFER_OVERFLOW: Final = 111
ERROR_DISK_FULL: Final = 112
ERROR_CALL_NOT_IMPLEMENTED: Final = 120
ERROR_SEM_TIMEOUT: Final = 121
ERROR_INSUFFICIENT_BUFFER: Final = 122
ERROR_INVALID_NAME: Final = 123
ERROR_INVALID_LEVEL: Final = 124
ERROR_DIR_NOT_EMPTY: Final = 145
ERROR_NOT_LOCKED: Final = 158
ERROR_BAD_PATHNAME: Final = 161
ERROR_BUSY: Final = 170
ERROR_ALREADY_EXISTS: Final = 183
ERROR_FILENAME_EXCED_RANGE: Final = 206
ERROR_BAD_PIPE: Final = 230
ERROR_PIPE_BUSY: Final = 231
ERROR_NO_DATA: Final = 232
ERROR_PIPE_NOT_CONNECTED: Final = 233
ERROR_MORE_DATA: Final = 234
ERROR_INVALID_EA_NAME: Final = 254
ERROR_EA_LIST_INCONSISTENT: Final = 255
ERROR_NO_MORE_ITEMS: Final = 259
ERROR_DIRECTORY: Final = 267
ERROR_EAS_NOT_SUPPORTED: Final = 282
ERROR_OPLOCK_NOT_GRANTED: Final = 300
ERROR_INVALID_OPLOCK_PROTOCOL: Final = 301
ERROR_DELETE_PENDING: Final = 303
ERROR_SMB1_NOT_AVAILABLE: Final = 384
ERROR_PIPE_CONNECTED: Final = 535
ERROR_PIPE_LISTENING: Final = 536
ERROR_NOTIFY_CLEANUP: Final = 745
ERROR_OPERATION_ABORTED: Final = 995
ERROR_IO_INCOMPLETE: Final = 996
ERROR_IO_PENDING: Final = 997
ERROR_NOACCESS: Final = 998
ERROR_NOTIFY_ENUM_DIR: Final = 1022
ERROR_DEPENDENT_SERVICES_RUNNING: Final = 1051
ERROR_INVALID_SERVICE_CONTROL: Final = 1052
ERROR_SERVICE_REQUEST_TIMEOUT: Final = 1053
ERROR_SERVICE_ALREADY_RUNNING: Final = 1056
ERROR_SERVICE_DISABLED: Final = 1058
ERROR_SERVICE_DOES_NOT_EXIST: Final = 1060
ERROR_SERVICE_CANNOT_ACCEPT_CTRL: Final = 1061
ERROR_SERVICE_NOT_ACTIVE: Final = 1062
ERROR_DATABASE_DOES_NOT_EXIST: Final = 1065
ERROR_SHUTDOWN_IN_PROGRESS: Final = 1115
ERROR_IO_DEVICE: Final = 1117
ERROR_NOT_ENOUGH_SERVER_MEMORY: Final = 1130
ERROR_NOT_FOUND: Final = 1168
ERROR_NO_NET_OR_BAD_PATH: Final = 1203
ERROR_EXTENDED_ERROR: Final = 1208
ERROR_INVALID_GROUPNAME: Final = 1209
ERROR_INVALID_COMPUTERNAME: Final = 1210
ERROR_INVALID_SHARENAME: Final = 1215
ERROR_SESSION_CREDENTIAL_CONFLICT: Final = 1219
ERROR_REMOTE_SESSION_LIMIT_EXCEEDED: Final = 1220
ERROR_CANCELLED: Final = 1223
ERROR_CONNECTION_REFUSED: Final = 1225
ERROR_GRACEFUL_DISCONNECT: Final = 1226
ERROR_NETWORK_UNREACHABLE: Final = 1231
ERROR_HOST_UNREACHABLE: Final = 1232
ERROR_REQUEST_ABORTED: Final = 1235
ERROR_CONNECTION_ABORTED: Final = 1236
ERROR_RETRY: Final = 1237
ERROR_LOGIN_WKSTA_RESTRICTION: Final = 1240
ERROR_NOT_AUTHENTICATED: Final = 1244
ERROR_DOWNGRADE_DETECTED: Final = 1265
ERROR_NO_LOGON_SERVERS: Final = 1311
ERROR_NO_SUCH_LOGON_SESSION: Final = 1312
ERROR_PRIVILEGE_NOT_HELD: Final = 1314
ERROR_INVALID_ACCOUNT_NAME: Final = 1315
ERROR_USER_EXISTS: Final = 1316
ERROR_NO_SUCH_USER: Final = 1317
ERROR_GROUP_EXISTS: Final = 1318
ERROR_NO_SUCH_GROUP: Final = 1319
ERROR_MEMBER_IN_GROUP: Final = 1320
ERROR_MEMBER_NOT_IN_GROUP: Final = 1321
ERROR_LAST_ADMIN: Final = 1322
ERROR_WRONG_PASSWORD: Final = 1323
ERROR_ILL_FORMED_PASSWORD: Final = 1324
ERROR_PASSWORD_RESTRICTION: Final = 1325
ERROR_LOGON_FAILURE: Final = 1326
ERROR_ACCOUNT_RESTRICTION: Final = 1327
ERROR_INVALID_LOGON_HOURS: Final = 1328
ERROR_INVALID_WORKSTATION: Final = 1329
ERROR_PASSWORD_EXPIRED: Final = 1330
ERROR_ACCOUNT_DISABLED: Final = 1331
ERROR_NONE_MAPPED: Final = 1332
ERROR_BAD_IMPERSONATION_LEVEL: Final = 1346
ERROR_NO_SUCH_DOMAIN: Final = 1355
ERROR_INTERNAL_ERROR: Final = 1359
ERROR_NO_SUCH_ALIAS: Final = 1376
ERROR_MEMBER_NOT_IN_ALIAS: Final = 1377
ERROR_MEMBER_IN_ALIAS: Final = 1378
ERROR_ALIAS_EXISTS: Final = 1379
ERROR_LOGON_TYPE_NOT_GRANTED: Final = 1385
ERROR_NO_SUCH_MEMBER: Final = 1387
ERROR_INVALID_MEMBER: Final = 1388
ERROR_MUTUAL_AUTH_FAILED: Final = 1397
ERROR_TIME_SKEW: Final = 1398
ERROR_NO_SYSTEM_RESOURCES: Final = 1450
ERROR_TIMEOUT: Final = 1460
RPC_S_INVALID_BINDING: Final = 1702
RPC_S_PROTSEQ_NOT_SUPPORTED: Final = 1703
RPC_S_UNKNOWN_IF: Final = 1717
RPC_S_SERVER_UNAVAILABLE: Final = 1722
RPC_S_SERVER_TOO_BUSY: Final = 1723
RPC_S_CALL_FAILED: Final = 1726
RPC_S_CALL_FAILED_DNE: Final = 1727
RPC_S_PROTOCOL_ERROR: Final = 1728
RPC_S_UNSUPPORTED_TRANS_SYN: Final = 1730
RPC_S_INVALID_TAG: Final = 1733
RPC_S_PROCNUM_OUT_OF_RANGE: Final = 1745
EPT_S_NOT_REGISTERED: Final = 1753
RPC_X_BAD_STUB_DATA: Final = 1783
ERROR_NO_TRUST_SAM_ACCOUNT: Final = 1787
ERROR_TRUSTED_RELATIONSHIP_FAILURE: Final = 1789
ERROR_NETLOGON_NOT_STARTED: Final = 1792
ERROR_ACCOUNT_EXPIRED: Final = 1793
ERROR_NOLOGON_WORKSTATION_TRUST_ACCOUNT: Final = 1808
ERROR_PASSWORD_MUST_CHANGE: Final = 1907
ERROR_DOMAIN_CONTROLLER_NOT_FOUND: Final = 1908
ERROR_ACCOUNT_LOCKED_OUT: Final = 1909
ERROR_NOT_A_REPARSE_POINT: Final = 4390

# NERR codes: 2100 (NERR_BASE) to 2999.
NERR_Success: Final = 0
NERR_NetNotStarted: Final = 2102
NERR_UnknownServer: Final = 2103
NERR_ShareMem: Final = 2104
NERR_NoNetworkResource: Final = 2105
NERR_RemoteOnly: Final = 2106
NERR_DevNotRedirected: Final = 2107
NERR_ServerNotStarted: Final = 2114
NERR_ItemNotFound: Final = 2115
NERR_UnknownDevDir: Final = 2116
NERR_RedirectedPath: Final = 2117
NERR_DuplicateShare: Final = 2118
NERR_NoRoom: Final = 2119
NERR_TooManyItems: Final = 2121
NERR_InvalidMaxUsers: Final = 2122
NERR_BufTooSmall: Final = 2123
NERR_RemoteErr: Final = 2127
NERR_LanmanIniError: Final = 2131
NERR_NetworkError: Final = 2136
NERR_WkstaInconsistentState: Final = 2137
NERR_WkstaNotStarted: Final = 2138
NERR_BrowserNotStarted: Final = 2139
NERR_InternalError: Final = 2140
NERR_BadTransactConfig: Final = 2141
NERR_InvalidAPI: Final = 2142
NERR_BadEventName: Final = 2143
NERR_DupNameReboot: Final = 2144
NERR_CfgCompNotFound: Final = 2146
NERR_CfgParamNotFound: Final = 2147
NERR_LineTooLong: Final = 2149
NERR_ServiceTableLocked: Final = 2180
NERR_ServiceTableFull: Final = 2181
NERR_ServiceInstalled: Final = 2182
NERR_ServiceEntryLocked: Final = 2183
NERR_ServiceNotInstalled: Final = 2184
NERR_BadServiceName: Final = 2185
NERR_ServiceCtlTimeout: Final = 2186
NERR_ServiceCtlBusy: Final = 2187
NERR_BadServiceProgName: Final = 2188
NERR_ServiceNotCtrl: Final = 2189
NERR_ServiceKillProc: Final = 2190
NERR_ServiceCtlNotValid: Final = 2191
NERR_BadUsername: Final = 2202
NERR_BadPassword: Final = 2203
NERR_ACFNotFound: Final = 2219
NERR_GroupNotFound: Final = 2220
NERR_UserNotFound: Final = 2221
NERR_ResourceNotFound: Final = 2222
NERR_GroupExists: Final = 2223
NERR_UserExists: Final = 2224
NERR_ResourceExists: Final = 2225
NERR_NotPrimary: Final = 2226
NERR_ACFNotLoaded: Final = 2227
NERR_ACFNoRoom: Final = 2228
NERR_ACFFileIOFail: Final = 2229
NERR_UserLogon: Final = 2231
NERR_SpeGroupOp: Final = 2234
NERR_UserInGroup: Final = 2236
NERR_UserNotInGroup: Final = 2237
NERR_AccountUndefined: Final = 2238
NERR_AccountExpired: Final = 2239
NERR_InvalidWorkstation: Final = 2240
NERR_InvalidLogonHours: Final = 2241
NERR_PasswordExpired: Final = 2242
NERR_PasswordCantChange: Final = 2243
NERR_PasswordHistConflict: Final = 2244
NERR_PasswordTooShort: Final = 2245
NERR_PasswordTooRecent: Final = 2246
NERR_InvalidDatabase: Final = 2247
NERR_UseNotFound: Final = 2250
NERR_DeviceIsShared: Final = 2252
NERR_NameNotFound: Final = 2273
NERR_MsgNotStarted: Final = 2284
NERR_InvalidDevice: Final = 2294
NERR_WriteFault: Final = 2295
NERR_MultipleNets: Final = 2300
NERR_NetNameNotFound: Final = 2310
NERR_DeviceNotShared: Final = 2311
NERR_ClientNameNotFound: Final = 2312
NERR_FileIdNotFound: Final = 2314
NERR_ExecFailure: Final = 2315
NERR_TmpFile: Final = 2316
NERR_TooMuchData: Final = 2317
NERR_DeviceShareConflict: Final = 2318
NERR_BrowserTableIncomplete: Final = 2319
NERR_NotLocalDomain: Final = 2320
NERR_IsDfsShare: Final = 2321
NERR_DevInvalidOpCode: Final = 2331
NERR_DevNotFound: Final = 2332
NERR_InvalidComputer: Final = 2351
NERR_MaxLenExceeded: Final = 2354
NERR_BadComponent: Final = 2356
NERR_CantType: Final = 2357
NERR_TooManyEntries: Final = 2362
NERR_ShareNotFound: Final = 2392
NERR_OpenFiles: Final = 2401
NERR_ActiveConns: Final = 2402
NERR_BadPasswordCore: Final = 2403
NERR_DevInUse: Final = 2404
NERR_LocalDrive: Final = 2405
NERR_AcctLimitExceeded: Final = 2434
NERR_LastAdmin: Final = 2452
NERR_DCNotFound: Final = 2453
NERR_NoSuchServer: Final = 2460
NERR_NoSuchSession: Final = 2461
NERR_NoSuchConnection: Final = 2462
NERR_TooManyServers: Final = 2463
NERR_TooManySessions: Final = 2464
NERR_TooManyConnections: Final = 2465
NERR_TooManyFiles: Final = 2466

# NTSTATUS (MS-ERREF 2.3); the top two bits tell: 0 success, 1 informational, 2 warning, 3 error.
STATUS_SUCCESS: Final = 0x00000000
STATUS_TIMEOUT: Final = 0x00000102
STATUS_PENDING: Final = 0x00000103
STATUS_OPLOCK_BREAK_IN_PROGRESS: Final = 0x00000108
STATUS_NOTIFY_CLEANUP: Final = 0x0000010B
STATUS_NOTIFY_ENUM_DIR: Final = 0x0000010C
STATUS_BUFFER_OVERFLOW: Final = 0x80000005
STATUS_NO_MORE_FILES: Final = 0x80000006
STATUS_INVALID_EA_NAME: Final = 0x80000013
STATUS_EA_LIST_INCONSISTENT: Final = 0x80000014
STATUS_NO_MORE_ENTRIES: Final = 0x8000001A
STATUS_STOPPED_ON_SYMLINK: Final = 0x8000002D
STATUS_UNSUCCESSFUL: Final = 0xC0000001
STATUS_NOT_IMPLEMENTED: Final = 0xC0000002
STATUS_INVALID_INFO_CLASS: Final = 0xC0000003
STATUS_INFO_LENGTH_MISMATCH: Final = 0xC0000004
STATUS_INVALID_HANDLE: Final = 0xC0000008
STATUS_INVALID_PARAMETER: Final = 0xC000000D
STATUS_NO_SUCH_DEVICE: Final = 0xC000000E
STATUS_NO_SUCH_FILE: Final = 0xC000000F
STATUS_INVALID_DEVICE_REQUEST: Final = 0xC0000010
STATUS_END_OF_FILE: Final = 0xC0000011
STATUS_MORE_PROCESSING_REQUIRED: Final = 0xC0000016
STATUS_NO_MEMORY: Final = 0xC0000017
STATUS_INVALID_VIEW_SIZE: Final = 0xC000001F
STATUS_ACCESS_DENIED: Final = 0xC0000022
STATUS_BUFFER_TOO_SMALL: Final = 0xC0000023
STATUS_OBJECT_TYPE_MISMATCH: Final = 0xC0000024
STATUS_OBJECT_NAME_INVALID: Final = 0xC0000033
STATUS_OBJECT_NAME_NOT_FOUND: Final = 0xC0000034
STATUS_OBJECT_NAME_COLLISION: Final = 0xC0000035
STATUS_OBJECT_PATH_INVALID: Final = 0xC0000039
STATUS_OBJECT_PATH_NOT_FOUND: Final = 0xC000003A
STATUS_OBJECT_PATH_SYNTAX_BAD: Final = 0xC000003B
STATUS_SHARING_VIOLATION: Final = 0xC0000043
STATUS_QUOTA_EXCEEDED: Final = 0xC0000044
STATUS_EAS_NOT_SUPPORTED: Final = 0xC000004F
STATUS_EA_TOO_LARGE: Final = 0xC0000050
STATUS_NO_EAS_ON_FILE: Final = 0xC0000052
STATUS_FILE_LOCK_CONFLICT: Final = 0xC0000054
STATUS_LOCK_NOT_GRANTED: Final = 0xC0000055
STATUS_DELETE_PENDING: Final = 0xC0000056
STATUS_NO_LOGON_SERVERS: Final = 0xC000005E
STATUS_NO_SUCH_LOGON_SESSION: Final = 0xC000005F
STATUS_PRIVILEGE_NOT_HELD: Final = 0xC0000061
STATUS_INVALID_ACCOUNT_NAME: Final = 0xC0000062
STATUS_USER_EXISTS: Final = 0xC0000063
STATUS_NO_SUCH_USER: Final = 0xC0000064
STATUS_WRONG_PASSWORD: Final = 0xC000006A
STATUS_PASSWORD_RESTRICTION: Final = 0xC000006C
STATUS_LOGON_FAILURE: Final = 0xC000006D
STATUS_ACCOUNT_RESTRICTION: Final = 0xC000006E
STATUS_INVALID_LOGON_HOURS: Final = 0xC000006F
STATUS_INVALID_WORKSTATION: Final = 0xC0000070
STATUS_PASSWORD_EXPIRED: Final = 0xC0000071
STATUS_ACCOUNT_DISABLED: Final = 0xC0000072
STATUS_NONE_MAPPED: Final = 0xC0000073
STATUS_RANGE_NOT_LOCKED: Final = 0xC000007E
STATUS_DISK_FULL: Final = 0xC000007F
STATUS_INSUFFICIENT_RESOURCES: Final = 0xC000009A
STATUS_MEDIA_WRITE_PROTECTED: Final = 0xC00000A2
STATUS_BAD_IMPERSONATION_LEVEL: Final = 0xC00000A5
STATUS_INSTANCE_NOT_AVAILABLE: Final = 0xC00000AB
STATUS_PIPE_NOT_AVAILABLE: Final = 0xC00000AC
STATUS_INVALID_PIPE_STATE: Final = 0xC00000AD
STATUS_PIPE_BUSY: Final = 0xC00000AE
STATUS_PIPE_DISCONNECTED: Final = 0xC00000B0
STATUS_PIPE_CLOSING: Final = 0xC00000B1
STATUS_PIPE_CONNECTED: Final = 0xC00000B2
STATUS_PIPE_LISTENING: Final = 0xC00000B3
STATUS_INVALID_READ_MODE: Final = 0xC00000B4
STATUS_IO_TIMEOUT: Final = 0xC00000B5
STATUS_FILE_IS_A_DIRECTORY: Final = 0xC00000BA
STATUS_NOT_SUPPORTED: Final = 0xC00000BB
STATUS_DUPLICATE_NAME: Final = 0xC00000BD
STATUS_BAD_NETWORK_PATH: Final = 0xC00000BE
STATUS_NETWORK_BUSY: Final = 0xC00000BF
STATUS_INVALID_NETWORK_RESPONSE: Final = 0xC00000C3
STATUS_UNEXPECTED_NETWORK_ERROR: Final = 0xC00000C4
STATUS_NETWORK_NAME_DELETED: Final = 0xC00000C9
STATUS_NETWORK_ACCESS_DENIED: Final = 0xC00000CA
STATUS_BAD_DEVICE_TYPE: Final = 0xC00000CB
STATUS_BAD_NETWORK_NAME: Final = 0xC00000CC
STATUS_TOO_MANY_SESSIONS: Final = 0xC00000CE
STATUS_SHARING_PAUSED: Final = 0xC00000CF
STATUS_REQUEST_NOT_ACCEPTED: Final = 0xC00000D0
STATUS_NOT_SAME_DEVICE: Final = 0xC00000D4
STATUS_FILE_RENAMED: Final = 0xC00000D5
STATUS_PIPE_EMPTY: Final = 0xC00000D9
STATUS_NO_SUCH_DOMAIN: Final = 0xC00000DF
STATUS_OPLOCK_NOT_GRANTED: Final = 0xC00000E2
STATUS_INVALID_OPLOCK_PROTOCOL: Final = 0xC00000E3
STATUS_INTERNAL_ERROR: Final = 0xC00000E5
STATUS_DIRECTORY_NOT_EMPTY: Final = 0xC0000101
STATUS_NOT_A_DIRECTORY: Final = 0xC0000103
STATUS_NAME_TOO_LONG: Final = 0xC0000106
STATUS_FILES_OPEN: Final = 0xC0000107
STATUS_TOO_MANY_OPENED_FILES: Final = 0xC000011F
STATUS_CANCELLED: Final = 0xC0000120
STATUS_CANNOT_DELETE: Final = 0xC0000121
STATUS_FILE_DELETED: Final = 0xC0000123
STATUS_FILE_CLOSED: Final = 0xC0000128
STATUS_TIME_DIFFERENCE_AT_DC: Final = 0xC0000133
STATUS_LOCAL_DISCONNECT: Final = 0xC000013B
STATUS_REMOTE_DISCONNECT: Final = 0xC000013C
STATUS_INVALID_LEVEL: Final = 0xC0000148
STATUS_PIPE_BROKEN: Final = 0xC000014B
STATUS_NO_SUCH_ALIAS: Final = 0xC0000151
STATUS_LOGON_TYPE_NOT_GRANTED: Final = 0xC000015B
STATUS_IO_DEVICE_ERROR: Final = 0xC0000185
STATUS_NO_TRUST_SAM_ACCOUNT: Final = 0xC000018B
STATUS_TRUSTED_RELATIONSHIP_FAILURE: Final = 0xC000018D
STATUS_NETLOGON_NOT_STARTED: Final = 0xC0000192
STATUS_ACCOUNT_EXPIRED: Final = 0xC0000193
STATUS_NETWORK_CREDENTIAL_CONFLICT: Final = 0xC0000195
STATUS_REMOTE_SESSION_LIMIT: Final = 0xC0000196
STATUS_NOLOGON_WORKSTATION_TRUST_ACCOUNT: Final = 0xC0000199
STATUS_FS_DRIVER_REQUIRED: Final = 0xC000019C
STATUS_INVALID_LOCK_RANGE: Final = 0xC00001A1
STATUS_USER_SESSION_DELETED: Final = 0xC0000203
STATUS_INSUFF_SERVER_RESOURCES: Final = 0xC0000205
STATUS_ADDRESS_ALREADY_EXISTS: Final = 0xC000020A
STATUS_CONNECTION_DISCONNECTED: Final = 0xC000020C
STATUS_CONNECTION_RESET: Final = 0xC000020D
STATUS_PASSWORD_MUST_CHANGE: Final = 0xC0000224
STATUS_NOT_FOUND: Final = 0xC0000225
STATUS_DUPLICATE_OBJECTID: Final = 0xC000022A
STATUS_RETRY: Final = 0xC000022D
STATUS_DOMAIN_CONTROLLER_NOT_FOUND: Final = 0xC0000233
STATUS_ACCOUNT_LOCKED_OUT: Final = 0xC0000234
STATUS_CONNECTION_REFUSED: Final = 0xC0000236
STATUS_GRACEFUL_DISCONNECT: Final = 0xC0000237
STATUS_NETWORK_UNREACHABLE: Final = 0xC000023C
STATUS_HOST_UNREACHABLE: Final = 0xC000023D
STATUS_REQUEST_ABORTED: Final = 0xC0000240
STATUS_CONNECTION_ABORTED: Final = 0xC0000241
STATUS_USER_MAPPED_FILE: Final = 0xC0000243
STATUS_LOGIN_WKSTA_RESTRICTION: Final = 0xC0000248
STATUS_PATH_NOT_COVERED: Final = 0xC0000257
STATUS_DFS_UNAVAILABLE: Final = 0xC000026D
STATUS_VOLUME_DISMOUNTED: Final = 0xC000026E
STATUS_NOT_A_REPARSE_POINT: Final = 0xC0000275
STATUS_MUTUAL_AUTHENTICATION_FAILED: Final = 0xC00002C3
STATUS_NETWORK_SESSION_EXPIRED: Final = 0xC000035C
STATUS_DOWNGRADE_DETECTED: Final = 0xC0000388
STATUS_NTLM_BLOCKED: Final = 0xC0000418
STATUS_REQUEST_OUT_OF_SEQUENCE: Final = 0xC000042A
STATUS_SERVER_UNAVAILABLE: Final = 0xC0000466
STATUS_FILE_NOT_AVAILABLE: Final = 0xC0000467
STATUS_SHARE_UNAVAILABLE: Final = 0xC0000480
STATUS_INVALID_SIGNATURE: Final = 0xC000A000
STATUS_HMAC_NOT_SUPPORTED: Final = 0xC000A001
STATUS_SMB_NO_PREAUTH_INTEGRITY_HASH_OVERLAP: Final = 0xC05D0000
STATUS_SMB_BAD_CLUSTER_DIALECT: Final = 0xC05D0001

# DCE/RPC fault status (C706 appendix E; MS-RPCE 2.2.2.8): a fault may also carry a Win32 code, 5 and 1783 above all.
nca_s_unsupported_type: Final = 0x1C010017
nca_s_fault_ndr: Final = 0x000006F7
nca_s_op_rng_error: Final = 0x1C010002
nca_s_unk_if: Final = 0x1C010003
nca_s_proto_error: Final = 0x1C01000B
nca_s_fault_invalid_tag: Final = 0x1C000006
nca_s_fault_context_mismatch: Final = 0x1C00001A
nca_s_fault_access_denied: Final = 0x00000005
nca_s_server_too_busy: Final = 0x1C010014
nca_s_fault_unspec: Final = 0x1C000012

_WIN32_TEXTS: Final = {
    ERROR_SUCCESS: "The operation completed successfully.",
    ERROR_INVALID_FUNCTION: "Incorrect function.",
    ERROR_FILE_NOT_FOUND: "The system cannot find the file specified.",
    ERROR_PATH_NOT_FOUND: "The system cannot find the path specified.",
    ERROR_TOO_MANY_OPEN_FILES: "The system cannot open the file.",
    ERROR_ACCESS_DENIED: "Access is denied.",
    ERROR_INVALID_HANDLE: "The handle is invalid.",
    ERROR_NOT_ENOUGH_MEMORY: "Not enough storage is available to process this command.",
    ERROR_INVALID_DATA: "The data is invalid.",
    ERROR_OUTOFMEMORY: "Not enough storage is available to complete this operation.",
    ERROR_NOT_SAME_DEVICE: "The system cannot move the file to a different disk drive.",
    ERROR_NO_MORE_FILES: "There are no more files.",
    ERROR_WRITE_PROTECT: "The media is write protected.",
    ERROR_NOT_READY: "The device is not ready.",
    ERROR_BAD_LENGTH: "The program issued a command but the command length is incorrect.",
    ERROR_GEN_FAILURE: "A device attached to the system is not functioning.",
    ERROR_SHARING_VIOLATION: "The process cannot access the file because it is being used by another process.",
    ERROR_LOCK_VIOLATION: (
        "The process cannot access the file because another process has locked a portion of the file."
    ),
    ERROR_HANDLE_EOF: "Reached the end of the file.",
    ERROR_NOT_SUPPORTED: "The request is not supported.",
    ERROR_REM_NOT_LIST: (
        "Windows cannot find the network path. Verify that the network path is correct and the destination "
        "computer is not busy or turned off. If Windows still cannot find the network path, contact your network "
        "administrator."
    ),
    ERROR_DUP_NAME: (
        "You were not connected because a duplicate name exists on the network. If joining a domain, go to System "
        "in Control Panel to change the computer name and try again. If joining a workgroup, choose another "
        "workgroup name."
    ),
    ERROR_BAD_NETPATH: "The network path was not found.",
    ERROR_NETWORK_BUSY: "The network is busy.",
    ERROR_DEV_NOT_EXIST: "The specified network resource or device is no longer available.",
    ERROR_BAD_NET_RESP: "The specified server cannot perform the requested operation.",
    ERROR_UNEXP_NET_ERR: "An unexpected network error occurred.",
    ERROR_NETNAME_DELETED: "The specified network name is no longer available.",
    ERROR_NETWORK_ACCESS_DENIED: "Network access is denied.",
    ERROR_BAD_DEV_TYPE: "The network resource type is not correct.",
    ERROR_BAD_NET_NAME: "The network name cannot be found.",
    ERROR_TOO_MANY_NAMES: "The name limit for the local computer network adapter card was exceeded.",
    ERROR_TOO_MANY_SESS: "The network BIOS session limit was exceeded.",
    ERROR_SHARING_PAUSED: "The remote server has been paused or is in the process of being started.",
    ERROR_REQ_NOT_ACCEP: (
        "No more connections can be made to this remote computer at this time because there are already as many "
        "connections as the computer can accept."
    ),
    ERROR_FILE_EXISTS: "The file exists.",
    ERROR_INVALID_PASSWORD: "The specified network password is not correct.",
    ERROR_INVALID_PARAMETER: "The parameter is incorrect.",
    ERROR_NO_PROC_SLOTS: "The system cannot start another process at this time.",
    ERROR_BROKEN_PIPE: "The pipe has been ended.",
    ERROR_BUFFER_OVERFLOW: "The file name is too long.",
    ERROR_DISK_FULL: "There is not enough space on the disk.",
    ERROR_CALL_NOT_IMPLEMENTED: "This function is not supported on this system.",
    ERROR_SEM_TIMEOUT: "The semaphore timeout period has expired.",
    ERROR_INSUFFICIENT_BUFFER: "The data area passed to a system call is too small.",
    ERROR_INVALID_NAME: "The filename, directory name, or volume label syntax is incorrect.",
    ERROR_INVALID_LEVEL: "The system call level is not correct.",
    ERROR_DIR_NOT_EMPTY: "The directory is not empty.",
    ERROR_NOT_LOCKED: "The segment is already unlocked.",
    ERROR_BAD_PATHNAME: "The specified path is invalid.",
    ERROR_BUSY: "The requested resource is in use.",
    ERROR_ALREADY_EXISTS: "Cannot create a file when that file already exists.",
    ERROR_FILENAME_EXCED_RANGE: "The filename or extension is too long.",
    ERROR_BAD_PIPE: "The pipe state is invalid.",
    ERROR_PIPE_BUSY: "All pipe instances are busy.",
    ERROR_NO_DATA: "The pipe is being closed.",
    ERROR_PIPE_NOT_CONNECTED: "No process is on the other end of the pipe.",
    ERROR_MORE_DATA: "More data is available.",
    ERROR_INVALID_EA_NAME: "The specified extended attribute name was invalid.",
    ERROR_EA_LIST_INCONSISTENT: "The extended attributes are inconsistent.",
    ERROR_NO_MORE_ITEMS: "No more data is available.",
    ERROR_DIRECTORY: "The directory name is invalid.",
    ERROR_EAS_NOT_SUPPORTED: "The mounted file system does not support extended attributes.",
    ERROR_OPLOCK_NOT_GRANTED: "The oplock request is denied.",
    ERROR_INVALID_OPLOCK_PROTOCOL: "An invalid oplock acknowledgment was received by the system.",
    ERROR_DELETE_PENDING: "The file cannot be opened because it is in the process of being deleted.",
    # Windows adds the address of a page of its own.
    ERROR_SMB1_NOT_AVAILABLE: "You can't connect to the file share because it's not secure. This share requires the "
    "obsolete SMB1 protocol, which is unsafe and could expose your system to attack. "
    "Your system requires SMB2 or higher.",
    ERROR_PIPE_CONNECTED: "There is a process on other end of the pipe.",
    ERROR_PIPE_LISTENING: "Waiting for a process to open the other end of the pipe.",
    ERROR_NOTIFY_CLEANUP: (
        "This indicates that a notify change request has been completed due to closing the handle which made the "
        "notify change request."
    ),
    ERROR_OPERATION_ABORTED: (
        "The I/O operation has been aborted because of either a thread exit or an application request."
    ),
    ERROR_IO_INCOMPLETE: "Overlapped I/O event is not in a signaled state.",
    ERROR_IO_PENDING: "Overlapped I/O operation is in progress.",
    ERROR_NOACCESS: "Invalid access to memory location.",
    ERROR_NOTIFY_ENUM_DIR: (
        "A notify change request is being completed and the information is not being returned in the caller's "
        "buffer. The caller now needs to enumerate the files to find the changes."
    ),
    ERROR_DEPENDENT_SERVICES_RUNNING: (
        "A stop control has been sent to a service that other running services are dependent on."
    ),
    ERROR_INVALID_SERVICE_CONTROL: "The requested control is not valid for this service.",
    ERROR_SERVICE_REQUEST_TIMEOUT: "The service did not respond to the start or control request in a timely fashion.",
    ERROR_SERVICE_ALREADY_RUNNING: "An instance of the service is already running.",
    ERROR_SERVICE_DISABLED: (
        "The service cannot be started, either because it is disabled or because it has no enabled devices "
        "associated with it."
    ),
    ERROR_SERVICE_DOES_NOT_EXIST: "The specified service does not exist as an installed service.",
    ERROR_SERVICE_CANNOT_ACCEPT_CTRL: "The service cannot accept control messages at this time.",
    ERROR_SERVICE_NOT_ACTIVE: "The service has not been started.",
    ERROR_DATABASE_DOES_NOT_EXIST: "The database specified does not exist.",
    ERROR_SHUTDOWN_IN_PROGRESS: "A system shutdown is in progress.",
    ERROR_IO_DEVICE: "The request could not be performed because of an I/O device error.",
    ERROR_NOT_ENOUGH_SERVER_MEMORY: "Not enough server storage is available to process this command.",
    ERROR_NOT_FOUND: "Element not found.",
    ERROR_NO_NET_OR_BAD_PATH: (
        "The network path was either typed incorrectly, does not exist, or the network provider is not currently "
        "available. Please try retyping the path or contact your network administrator."
    ),
    ERROR_EXTENDED_ERROR: "An extended error has occurred.",
    ERROR_INVALID_GROUPNAME: "The format of the specified group name is invalid.",
    ERROR_INVALID_COMPUTERNAME: "The format of the specified computer name is invalid.",
    ERROR_INVALID_SHARENAME: "The format of the specified share name is invalid.",
    ERROR_SESSION_CREDENTIAL_CONFLICT: (
        "Multiple connections to a server or shared resource by the same user, using more than one user name, are "
        "not allowed. Disconnect all previous connections to the server or shared resource and try again."
    ),
    ERROR_REMOTE_SESSION_LIMIT_EXCEEDED: (
        "An attempt was made to establish a session to a network server, but there are already too many sessions "
        "established to that server."
    ),
    ERROR_CANCELLED: "The operation was canceled by the user.",
    ERROR_CONNECTION_REFUSED: "The remote computer refused the network connection.",
    ERROR_GRACEFUL_DISCONNECT: "The network connection was gracefully closed.",
    ERROR_NETWORK_UNREACHABLE: (
        "The network location cannot be reached. For information about network troubleshooting, see Windows Help."
    ),
    ERROR_HOST_UNREACHABLE: (
        "The network location cannot be reached. For information about network troubleshooting, see Windows Help."
    ),
    ERROR_REQUEST_ABORTED: "The request was aborted.",
    ERROR_CONNECTION_ABORTED: "The network connection was aborted by the local system.",
    ERROR_RETRY: "The operation could not be completed. A retry should be performed.",
    ERROR_LOGIN_WKSTA_RESTRICTION: "The account is not authorized to log in from this station.",
    ERROR_NOT_AUTHENTICATED: (
        "The operation being requested was not performed because the user has not been authenticated."
    ),
    ERROR_DOWNGRADE_DETECTED: (
        "The system cannot contact a domain controller to service the authentication request. Please try again later."
    ),
    ERROR_NO_LOGON_SERVERS: "There are currently no logon servers available to service the logon request.",
    ERROR_NO_SUCH_LOGON_SESSION: "A specified logon session does not exist. It may already have been terminated.",
    ERROR_PRIVILEGE_NOT_HELD: "A required privilege is not held by the client.",
    ERROR_INVALID_ACCOUNT_NAME: "The name provided is not a properly formed account name.",
    ERROR_USER_EXISTS: "The specified account already exists.",
    ERROR_NO_SUCH_USER: "The specified account does not exist.",
    ERROR_GROUP_EXISTS: "The specified group already exists.",
    ERROR_NO_SUCH_GROUP: "The specified group does not exist.",
    ERROR_MEMBER_IN_GROUP: (
        "Either the specified user account is already a member of the specified group, or the specified group "
        "cannot be deleted because it contains a member."
    ),
    ERROR_MEMBER_NOT_IN_GROUP: "The specified user account is not a member of the specified group account.",
    ERROR_LAST_ADMIN: (
        "This operation is disallowed as it could result in an administration account being disabled, deleted or "
        "unable to logon."
    ),
    ERROR_WRONG_PASSWORD: "Unable to update the password. The value provided as the current password is incorrect.",
    ERROR_ILL_FORMED_PASSWORD: (
        "Unable to update the password. The value provided for the new password contains values that are not "
        "allowed in passwords."
    ),
    ERROR_PASSWORD_RESTRICTION: (
        "Unable to update the password. The value provided for the new password does not meet the length, "
        "complexity, or history requirements of the domain."
    ),
    ERROR_LOGON_FAILURE: "The user name or password is incorrect.",
    ERROR_ACCOUNT_RESTRICTION: (
        "Account restrictions are preventing this user from signing in. For example: blank passwords aren't "
        "allowed, sign-in times are limited, or a policy restriction has been enforced."
    ),
    ERROR_INVALID_LOGON_HOURS: "Your account has time restrictions that keep you from signing in right now.",
    ERROR_INVALID_WORKSTATION: "This user isn't allowed to sign in to this computer.",
    ERROR_PASSWORD_EXPIRED: "The password for this account has expired.",
    ERROR_ACCOUNT_DISABLED: "This user can't sign in because this account is currently disabled.",
    ERROR_NONE_MAPPED: "No mapping between account names and security IDs was done.",
    ERROR_BAD_IMPERSONATION_LEVEL: (
        "Either a required impersonation level was not provided, or the provided impersonation level is invalid."
    ),
    ERROR_NO_SUCH_DOMAIN: "The specified domain either does not exist or could not be contacted.",
    ERROR_INTERNAL_ERROR: "An internal error occurred.",
    ERROR_NO_SUCH_ALIAS: "The specified local group does not exist.",
    ERROR_MEMBER_NOT_IN_ALIAS: "The specified account name is not a member of the group.",
    ERROR_MEMBER_IN_ALIAS: "The specified account name is already a member of the group.",
    ERROR_ALIAS_EXISTS: "The specified local group already exists.",
    ERROR_LOGON_TYPE_NOT_GRANTED: (
        "Logon failure: the user has not been granted the requested logon type at this computer."
    ),
    ERROR_NO_SUCH_MEMBER: (
        "A member could not be added to or removed from the local group because the member does not exist."
    ),
    ERROR_INVALID_MEMBER: (
        "A new member could not be added to a local group because the member has the wrong account type."
    ),
    ERROR_MUTUAL_AUTH_FAILED: (
        "Mutual Authentication failed. The server's password is out of date at the domain controller."
    ),
    ERROR_TIME_SKEW: "There is a time and/or date difference between the client and server.",
    ERROR_NO_SYSTEM_RESOURCES: "Insufficient system resources exist to complete the requested service.",
    ERROR_TIMEOUT: "This operation returned because the timeout period expired.",
    RPC_S_INVALID_BINDING: "The binding handle is invalid.",
    RPC_S_PROTSEQ_NOT_SUPPORTED: "The RPC protocol sequence is not supported.",
    RPC_S_UNKNOWN_IF: "The interface is unknown.",
    RPC_S_SERVER_UNAVAILABLE: "The RPC server is unavailable.",
    RPC_S_SERVER_TOO_BUSY: "The RPC server is too busy to complete this operation.",
    RPC_S_CALL_FAILED: "The remote procedure call failed.",
    RPC_S_CALL_FAILED_DNE: "The remote procedure call failed and did not execute.",
    RPC_S_PROTOCOL_ERROR: "A remote procedure call (RPC) protocol error occurred.",
    RPC_S_UNSUPPORTED_TRANS_SYN: "The transfer syntax is not supported by the RPC server.",
    RPC_S_INVALID_TAG: "The tag is invalid.",
    RPC_S_PROCNUM_OUT_OF_RANGE: "The procedure number is out of range.",
    EPT_S_NOT_REGISTERED: "There are no more endpoints available from the endpoint mapper.",
    RPC_X_BAD_STUB_DATA: "The stub received bad data.",
    ERROR_NO_TRUST_SAM_ACCOUNT: (
        "The security database on the server does not have a computer account for this workstation trust relationship."
    ),
    ERROR_TRUSTED_RELATIONSHIP_FAILURE: (
        "The trust relationship between this workstation and the primary domain failed."
    ),
    ERROR_NETLOGON_NOT_STARTED: "An attempt was made to logon, but the network logon service was not started.",
    ERROR_ACCOUNT_EXPIRED: "The user's account has expired.",
    ERROR_NOLOGON_WORKSTATION_TRUST_ACCOUNT: (
        "The account used is a computer account. Use your global user account or local user account to access this"
        " server."
    ),
    ERROR_PASSWORD_MUST_CHANGE: "The user's password must be changed before signing in.",
    ERROR_DOMAIN_CONTROLLER_NOT_FOUND: "Could not find the domain controller for this domain.",
    ERROR_ACCOUNT_LOCKED_OUT: "The referenced account is currently locked out and may not be logged on to.",
    ERROR_NOT_A_REPARSE_POINT: "The file or directory is not a reparse point.",
    NERR_NetNotStarted: "The workstation driver is not installed.",
    NERR_UnknownServer: "The server could not be located.",
    NERR_ShareMem: "An internal error occurred. The network cannot access a shared memory segment.",
    NERR_NoNetworkResource: "A network resource shortage occurred.",
    NERR_RemoteOnly: "This operation is not supported on workstations.",
    NERR_DevNotRedirected: "The device is not connected.",
    NERR_ServerNotStarted: "The Server service is not started.",
    NERR_ItemNotFound: "The queue is empty.",
    NERR_UnknownDevDir: "The device or directory does not exist.",
    NERR_RedirectedPath: "The operation is invalid on a redirected resource.",
    NERR_DuplicateShare: "The name has already been shared.",
    NERR_NoRoom: "The server is currently out of the requested resource.",
    NERR_TooManyItems: "Requested addition of items exceeds the maximum allowed.",
    NERR_InvalidMaxUsers: "The Peer service supports only two simultaneous users.",
    NERR_BufTooSmall: "The API return buffer is too small.",
    NERR_RemoteErr: "A remote API error occurred.",
    NERR_LanmanIniError: "An error occurred when opening or reading the configuration file.",
    NERR_NetworkError: "A general network error occurred.",
    NERR_WkstaInconsistentState: (
        "The Workstation service is in an inconsistent state. Restart the computer before restarting the "
        "Workstation service."
    ),
    NERR_WkstaNotStarted: "The Workstation service has not been started.",
    NERR_BrowserNotStarted: "The requested information is not available.",
    NERR_InternalError: "An internal error occurred.",
    NERR_BadTransactConfig: "The server is not configured for transactions.",
    NERR_InvalidAPI: "The requested API is not supported on the remote server.",
    NERR_BadEventName: "The event name is invalid.",
    NERR_DupNameReboot: "The computer name already exists on the network. Change it and restart the computer.",
    NERR_CfgCompNotFound: "The specified component could not be found in the configuration information.",
    NERR_CfgParamNotFound: "The specified parameter could not be found in the configuration information.",
    NERR_LineTooLong: "A line in the configuration file is too long.",
    NERR_ServiceTableLocked: "The service database is locked.",
    NERR_ServiceTableFull: "The service table is full.",
    NERR_ServiceInstalled: "The requested service has already been started.",
    NERR_ServiceEntryLocked: "The service does not respond to control actions.",
    NERR_ServiceNotInstalled: "The service has not been started.",
    NERR_BadServiceName: "The service name is invalid.",
    NERR_ServiceCtlTimeout: "The service is not responding to the control function.",
    NERR_ServiceCtlBusy: "The service control is busy.",
    NERR_BadServiceProgName: "The configuration file contains an invalid service program name.",
    NERR_ServiceNotCtrl: "The service could not be controlled in its present state.",
    NERR_ServiceKillProc: "The service ended abnormally.",
    NERR_ServiceCtlNotValid: "The requested pause or stop is not valid for this service.",
    NERR_BadUsername: "The user name or group name parameter is invalid.",
    NERR_BadPassword: "The password parameter is invalid.",
    NERR_ACFNotFound: "The security database could not be found.",
    NERR_GroupNotFound: "The group name could not be found.",
    NERR_UserNotFound: "The user name could not be found.",
    NERR_ResourceNotFound: "The resource name could not be found.",
    NERR_GroupExists: "The group already exists.",
    NERR_UserExists: "The user account already exists.",
    NERR_ResourceExists: "The resource permission list already exists.",
    NERR_NotPrimary: "This operation is only allowed on the primary domain controller of the domain.",
    NERR_ACFNotLoaded: "The security database has not been started.",
    NERR_ACFNoRoom: "There are too many names in the user accounts database.",
    NERR_ACFFileIOFail: "A disk I/O failure occurred.",
    NERR_UserLogon: "Deleting a user with a session is not allowed.",
    NERR_SpeGroupOp: "This operation is not allowed on this special group.",
    NERR_UserInGroup: "The user already belongs to this group.",
    NERR_UserNotInGroup: "The user does not belong to this group.",
    NERR_AccountUndefined: "This user account is undefined.",
    NERR_AccountExpired: "This user account has expired.",
    NERR_InvalidWorkstation: "The user is not allowed to log on from this workstation.",
    NERR_InvalidLogonHours: "The user is not allowed to log on at this time.",
    NERR_PasswordExpired: "The password of this user has expired.",
    NERR_PasswordCantChange: "The password of this user cannot change.",
    NERR_PasswordHistConflict: "This password cannot be used now.",
    NERR_PasswordTooShort: (
        "The password does not meet the password policy requirements. Check the minimum password length, password "
        "complexity and password history requirements."
    ),
    NERR_PasswordTooRecent: "The password of this user is too recent to change.",
    NERR_InvalidDatabase: "The security database is corrupted.",
    NERR_UseNotFound: "The network connection could not be found.",
    NERR_DeviceIsShared: "This device is currently being shared.",
    NERR_NameNotFound: "The message alias could not be found on the network.",
    NERR_MsgNotStarted: "The Messenger service has not been started.",
    NERR_InvalidDevice: "This is an invalid device name.",
    NERR_WriteFault: "A write fault occurred.",
    NERR_MultipleNets: "This operation is not supported on computers with multiple networks.",
    NERR_NetNameNotFound: "This shared resource does not exist.",
    NERR_DeviceNotShared: "This device is not shared.",
    NERR_ClientNameNotFound: "A session does not exist with that computer name.",
    NERR_FileIdNotFound: "There is not an open file with that identification number.",
    NERR_ExecFailure: "A failure occurred when executing a remote administration command.",
    NERR_TmpFile: "A failure occurred when opening a remote temporary file.",
    NERR_TooMuchData: "The data returned from a remote administration command has been truncated to 64K.",
    NERR_DeviceShareConflict: "This device cannot be shared as both a spooled and a non-spooled resource.",
    NERR_BrowserTableIncomplete: "The information in the list of servers may be incorrect.",
    NERR_NotLocalDomain: "The computer is not active in this domain.",
    NERR_IsDfsShare: "The share must be removed from the Distributed File System before it can be deleted.",
    NERR_DevInvalidOpCode: "The operation is invalid for this device.",
    NERR_DevNotFound: "This device cannot be shared.",
    NERR_InvalidComputer: "This computer name is invalid.",
    NERR_MaxLenExceeded: "The string and prefix specified are too long.",
    NERR_BadComponent: "This path component is invalid.",
    NERR_CantType: "Could not determine the type of input.",
    NERR_TooManyEntries: "The buffer for types is not big enough.",
    NERR_ShareNotFound: "The shared resource you are connected to could not be found.",
    NERR_OpenFiles: "There are open files on the connection.",
    NERR_ActiveConns: "Active connections still exist.",
    NERR_BadPasswordCore: "This share name or password is invalid.",
    NERR_DevInUse: "The device is being accessed by an active process.",
    NERR_LocalDrive: "The drive letter is in use locally.",
    NERR_AcctLimitExceeded: "A user's session with this server has been deleted.",
    NERR_LastAdmin: "This operation is not allowed on the last administrative account.",
    NERR_DCNotFound: "Could not find domain controller for this domain.",
    NERR_NoSuchServer: "The server identification does not specify a valid server.",
    NERR_NoSuchSession: "The session identification does not specify a valid session.",
    NERR_NoSuchConnection: "The connection identification does not specify a valid connection.",
    NERR_TooManyServers: "There is no space for another entry in the table of available servers.",
    NERR_TooManySessions: "The server has reached the maximum number of sessions it supports.",
    NERR_TooManyConnections: "The server has reached the maximum number of connections it supports.",
    NERR_TooManyFiles: "The server cannot open more files because it has reached its maximum number.",
}

_NTSTATUS_TEXTS: Final = {
    STATUS_SUCCESS: "The operation completed successfully.",
    STATUS_TIMEOUT: "The given timeout interval expired.",
    STATUS_PENDING: "The operation that was requested is pending completion.",
    STATUS_OPLOCK_BREAK_IN_PROGRESS: (
        "An open or create operation completed while an opportunistic lock (oplock) break is underway."
    ),
    STATUS_NOTIFY_CLEANUP: (
        "A notify change request has been completed due to closing the handle that made the notify change request."
    ),
    STATUS_NOTIFY_ENUM_DIR: (
        "A notify change request is being completed and the information is not being returned in the caller's "
        "buffer. The caller now needs to enumerate the files to find the changes."
    ),
    STATUS_BUFFER_OVERFLOW: "The data was too large to fit into the specified buffer.",
    STATUS_NO_MORE_FILES: "No more files were found which match the file specification.",
    STATUS_INVALID_EA_NAME: "The specified extended attribute (EA) name contains at least one illegal character.",
    STATUS_EA_LIST_INCONSISTENT: "The extended attribute (EA) list is inconsistent.",
    STATUS_NO_MORE_ENTRIES: "No more entries are available from an enumeration operation.",
    STATUS_STOPPED_ON_SYMLINK: "The create operation stopped after reaching a symbolic link.",
    STATUS_UNSUCCESSFUL: "The requested operation was unsuccessful.",
    STATUS_NOT_IMPLEMENTED: "The requested operation is not implemented.",
    STATUS_INVALID_INFO_CLASS: (
        "The specified information class is not a valid information class for the specified object."
    ),
    STATUS_INFO_LENGTH_MISMATCH: (
        "The specified information record length does not match the length that is required for the specified "
        "information class."
    ),
    STATUS_INVALID_HANDLE: "An invalid HANDLE was specified.",
    STATUS_INVALID_PARAMETER: "An invalid parameter was passed to a service or function.",
    STATUS_NO_SUCH_DEVICE: "A device that does not exist was specified.",
    STATUS_NO_SUCH_FILE: "The file does not exist.",
    STATUS_INVALID_DEVICE_REQUEST: "The specified request is not a valid operation for the target device.",
    STATUS_END_OF_FILE: (
        "The end-of-file marker has been reached. There is no valid data in the file beyond this marker."
    ),
    STATUS_MORE_PROCESSING_REQUIRED: "More processing is required: the exchange has not ended.",
    STATUS_NO_MEMORY: (
        "Not enough virtual memory or paging file quota is available to complete the specified operation."
    ),
    STATUS_INVALID_VIEW_SIZE: "The specified view size is not valid for the section.",
    STATUS_ACCESS_DENIED: "A process has requested access to an object but has not been granted those access rights.",
    STATUS_BUFFER_TOO_SMALL: (
        "The buffer is too small to contain the entry. No information has been written to the buffer."
    ),
    STATUS_OBJECT_TYPE_MISMATCH: (
        "There is a mismatch between the type of object that is required by the requested operation and the type "
        "of object that is specified in the request."
    ),
    STATUS_OBJECT_NAME_INVALID: "The object name is invalid.",
    STATUS_OBJECT_NAME_NOT_FOUND: "The object name is not found.",
    STATUS_OBJECT_NAME_COLLISION: "The object name already exists.",
    STATUS_OBJECT_PATH_INVALID: "The object path component was not a directory object.",
    STATUS_OBJECT_PATH_NOT_FOUND: "The path does not exist.",
    STATUS_OBJECT_PATH_SYNTAX_BAD: "The object path component was not a directory object.",
    STATUS_SHARING_VIOLATION: "A file cannot be opened because the share access flags are incompatible.",
    STATUS_QUOTA_EXCEEDED: "Insufficient quota exists to complete the operation.",
    STATUS_EAS_NOT_SUPPORTED: "An operation involving EAs failed because the file system does not support EAs.",
    STATUS_EA_TOO_LARGE: "An EA operation failed because the EA set is too large.",
    STATUS_NO_EAS_ON_FILE: "The file for which EAs were requested has no EAs.",
    STATUS_FILE_LOCK_CONFLICT: "A requested read/write cannot be granted due to a conflicting file lock.",
    STATUS_LOCK_NOT_GRANTED: "A requested file lock cannot be granted due to other existing locks.",
    STATUS_DELETE_PENDING: "A non-close operation has been requested of a file object that has a delete pending.",
    STATUS_NO_LOGON_SERVERS: "No logon servers are currently available to service the logon request.",
    STATUS_NO_SUCH_LOGON_SESSION: "A specified logon session does not exist. It may already have been terminated.",
    STATUS_PRIVILEGE_NOT_HELD: "A required privilege is not held by the client.",
    STATUS_INVALID_ACCOUNT_NAME: "The name provided is not a properly formed account name.",
    STATUS_USER_EXISTS: "The specified account already exists.",
    STATUS_NO_SUCH_USER: "The specified account does not exist.",
    STATUS_WRONG_PASSWORD: "The value provided as the current password is not correct.",
    STATUS_PASSWORD_RESTRICTION: (
        "Some password update rule has been violated. For example, the password may not meet length criteria."
    ),
    STATUS_LOGON_FAILURE: (
        "The attempted logon is invalid. This is either due to a bad username or authentication information."
    ),
    STATUS_ACCOUNT_RESTRICTION: (
        "A referenced user name and authentication information are valid, but some user account restriction has "
        "prevented successful authentication (such as time-of-day restrictions)."
    ),
    STATUS_INVALID_LOGON_HOURS: "The user account has time restrictions and may not be logged onto at this time.",
    STATUS_INVALID_WORKSTATION: (
        "The user account is restricted so that it may not be used to log on from the source workstation."
    ),
    STATUS_PASSWORD_EXPIRED: "The user account password has expired.",
    STATUS_ACCOUNT_DISABLED: "The referenced account is currently disabled and may not be logged on to.",
    STATUS_NONE_MAPPED: "None of the information to be translated has been translated.",
    STATUS_RANGE_NOT_LOCKED: "The range specified was not locked.",
    STATUS_DISK_FULL: "An operation failed because the disk was full.",
    STATUS_INSUFFICIENT_RESOURCES: "Insufficient system resources exist to complete the API.",
    STATUS_MEDIA_WRITE_PROTECTED: "The disk cannot be written to because it is write-protected.",
    STATUS_BAD_IMPERSONATION_LEVEL: (
        "A specified impersonation level is invalid, or a required impersonation level was not provided."
    ),
    STATUS_INSTANCE_NOT_AVAILABLE: "The maximum named pipe instance count has been reached.",
    STATUS_PIPE_NOT_AVAILABLE: "An instance of a named pipe cannot be found in the listening state.",
    STATUS_INVALID_PIPE_STATE: "The named pipe is not in the connected or closing state.",
    STATUS_PIPE_BUSY: (
        "The specified pipe is set to complete operations and there are current I/O operations queued so that it "
        "cannot be changed to queue operations."
    ),
    STATUS_PIPE_DISCONNECTED: "The specified named pipe is in the disconnected state.",
    STATUS_PIPE_CLOSING: "The specified named pipe is in the closing state.",
    STATUS_PIPE_CONNECTED: "The specified named pipe is in the connected state.",
    STATUS_PIPE_LISTENING: "The specified named pipe is in the listening state.",
    STATUS_INVALID_READ_MODE: "The specified named pipe is not in message mode.",
    STATUS_IO_TIMEOUT: "The specified I/O operation was not completed before the time-out period expired.",
    STATUS_FILE_IS_A_DIRECTORY: (
        "The file that was specified as a target is a directory, and the caller specified that it could be "
        "anything but a directory."
    ),
    STATUS_NOT_SUPPORTED: "The request is not supported.",
    STATUS_DUPLICATE_NAME: "A duplicate name exists on the network.",
    STATUS_BAD_NETWORK_PATH: "The network path cannot be located.",
    STATUS_NETWORK_BUSY: "The network is busy.",
    STATUS_INVALID_NETWORK_RESPONSE: "The network responded incorrectly.",
    STATUS_UNEXPECTED_NETWORK_ERROR: "An unexpected network error occurred.",
    STATUS_NETWORK_NAME_DELETED: "The network name was deleted.",
    STATUS_NETWORK_ACCESS_DENIED: "Network access is denied.",
    STATUS_BAD_DEVICE_TYPE: (
        "The specified device type (LPT, for example) conflicts with the actual device type on the remote resource."
    ),
    STATUS_BAD_NETWORK_NAME: "The specified share name cannot be found on the remote server.",
    STATUS_TOO_MANY_SESSIONS: "The network BIOS session limit was exceeded.",
    STATUS_SHARING_PAUSED: "File sharing has been temporarily paused.",
    STATUS_REQUEST_NOT_ACCEPTED: (
        "No more connections can be made to this remote computer at this time because the computer has already "
        "accepted the maximum number of connections."
    ),
    STATUS_NOT_SAME_DEVICE: (
        "The destination file of a rename request is located on a different device than the source of the rename "
        "request."
    ),
    STATUS_FILE_RENAMED: "The specified file has been renamed and thus cannot be modified.",
    STATUS_PIPE_EMPTY: "A read operation was done on an empty pipe.",
    STATUS_NO_SUCH_DOMAIN: "The specified domain did not exist.",
    STATUS_OPLOCK_NOT_GRANTED: "The opportunistic lock (oplock) request is denied.",
    STATUS_INVALID_OPLOCK_PROTOCOL: (
        "An invalid opportunistic lock (oplock) acknowledgment was received by a file system."
    ),
    STATUS_INTERNAL_ERROR: "An internal error occurred.",
    STATUS_DIRECTORY_NOT_EMPTY: "The directory trying to be deleted is not empty.",
    STATUS_NOT_A_DIRECTORY: "A requested opened file is not a directory.",
    STATUS_NAME_TOO_LONG: "A specified name string is too long for its intended use.",
    STATUS_FILES_OPEN: "There are opened files, and the user did not specify a sufficient level of force.",
    STATUS_TOO_MANY_OPENED_FILES: "Too many files are opened on a remote server.",
    STATUS_CANCELLED: "The I/O request was canceled.",
    STATUS_CANNOT_DELETE: "An attempt has been made to remove a file or directory that cannot be deleted.",
    STATUS_FILE_DELETED: "An I/O request other than close was performed on a file after it was deleted.",
    STATUS_FILE_CLOSED: (
        "An I/O request other than close and several other special case operations was attempted using a file "
        "object that had already been closed."
    ),
    STATUS_TIME_DIFFERENCE_AT_DC: (
        "The time at the primary domain controller is different from the time at the backup domain controller or "
        "member server by too large an amount."
    ),
    STATUS_LOCAL_DISCONNECT: "The network transport on your computer has closed a network connection.",
    STATUS_REMOTE_DISCONNECT: "The network transport on a remote computer has closed a network connection.",
    STATUS_INVALID_LEVEL: "An invalid level was passed into the specified system call.",
    STATUS_PIPE_BROKEN: "The pipe operation has failed because the other end of the pipe has been closed.",
    STATUS_NO_SUCH_ALIAS: "The specified local group does not exist.",
    STATUS_LOGON_TYPE_NOT_GRANTED: (
        "A user has requested a type of logon (for example, interactive or network) that has not been granted."
    ),
    STATUS_IO_DEVICE_ERROR: "The I/O device reported an I/O error.",
    STATUS_NO_TRUST_SAM_ACCOUNT: (
        "The SAM database on the Windows Server does not have a computer account for this workstation trust "
        "relationship."
    ),
    STATUS_TRUSTED_RELATIONSHIP_FAILURE: (
        "The logon request failed because the trust relationship between this workstation and the primary domain "
        "failed."
    ),
    STATUS_NETLOGON_NOT_STARTED: "An attempt was made to logon, but the NetLogon service was not started.",
    STATUS_ACCOUNT_EXPIRED: "The user account has expired.",
    STATUS_NETWORK_CREDENTIAL_CONFLICT: (
        "Multiple connections to a server or shared resource by the same user, using more than one user name, are "
        "not allowed."
    ),
    STATUS_REMOTE_SESSION_LIMIT: (
        "An attempt was made to establish a session to a network server, but there are already too many sessions "
        "established to that server."
    ),
    STATUS_NOLOGON_WORKSTATION_TRUST_ACCOUNT: (
        "The account used is a computer account. Use your global user account or local user account to access this"
        " server."
    ),
    STATUS_FS_DRIVER_REQUIRED: (
        "A volume has been accessed for which a file system driver is required that has not yet been loaded."
    ),
    STATUS_INVALID_LOCK_RANGE: "A requested file lock operation cannot be processed due to an invalid byte range.",
    STATUS_USER_SESSION_DELETED: "The remote user session has been deleted.",
    STATUS_INSUFF_SERVER_RESOURCES: "Insufficient server resources exist to complete the request.",
    STATUS_ADDRESS_ALREADY_EXISTS: "The transport address could not be opened because it already exists.",
    STATUS_CONNECTION_DISCONNECTED: "The transport connection is now disconnected.",
    STATUS_CONNECTION_RESET: "The transport connection has been reset.",
    STATUS_PASSWORD_MUST_CHANGE: "The user password must be changed before logging on the first time.",
    STATUS_NOT_FOUND: "The object was not found.",
    STATUS_DUPLICATE_OBJECTID: (
        "The attempt to insert the ID in the index failed because the ID is already in the index."
    ),
    STATUS_RETRY: "The request needs to be retried.",
    STATUS_DOMAIN_CONTROLLER_NOT_FOUND: "A domain controller for this domain was not found.",
    STATUS_ACCOUNT_LOCKED_OUT: (
        "The user account has been automatically locked because too many invalid logon attempts or password change"
        " attempts have been requested."
    ),
    STATUS_CONNECTION_REFUSED: "The transport-connection attempt was refused by the remote system.",
    STATUS_GRACEFUL_DISCONNECT: "The transport connection was gracefully closed.",
    STATUS_NETWORK_UNREACHABLE: "The remote network is not reachable by the transport.",
    STATUS_HOST_UNREACHABLE: "The remote system is not reachable by the transport.",
    STATUS_REQUEST_ABORTED: "The request was aborted.",
    STATUS_CONNECTION_ABORTED: "The transport connection was aborted by the local system.",
    STATUS_USER_MAPPED_FILE: "The requested operation cannot be performed on a file with a user mapped section open.",
    STATUS_LOGIN_WKSTA_RESTRICTION: "The account is not authorized to log on from this station.",
    STATUS_PATH_NOT_COVERED: "The contacted server does not support the indicated part of the DFS namespace.",
    STATUS_DFS_UNAVAILABLE: "DFS is unavailable on the contacted server.",
    STATUS_VOLUME_DISMOUNTED: "An operation was attempted to a volume after it was dismounted.",
    STATUS_NOT_A_REPARSE_POINT: "The file or directory is not a reparse point.",
    STATUS_MUTUAL_AUTHENTICATION_FAILED: (
        "Mutual Authentication failed. The server password is out of date at the domain controller."
    ),
    STATUS_NETWORK_SESSION_EXPIRED: (
        "The client session has expired; so the client must re-authenticate to continue accessing the remote resources."
    ),
    STATUS_DOWNGRADE_DETECTED: (
        "The system detected a possible attempt to compromise security. Ensure that you can contact the server "
        "that authenticated you."
    ),
    STATUS_NTLM_BLOCKED: "The authentication failed because NTLM was blocked.",
    STATUS_REQUEST_OUT_OF_SEQUENCE: "The requested operation is out of order with respect to other operations.",
    STATUS_SERVER_UNAVAILABLE: "The file server is temporarily unavailable.",
    STATUS_FILE_NOT_AVAILABLE: "The file is temporarily unavailable.",
    STATUS_SHARE_UNAVAILABLE: "The share is temporarily unavailable.",
    STATUS_INVALID_SIGNATURE: "The cryptographic signature is invalid.",
    STATUS_HMAC_NOT_SUPPORTED: "The cryptographic provider does not support HMAC.",
    STATUS_SMB_NO_PREAUTH_INTEGRITY_HASH_OVERLAP: (
        "No pre-authentication integrity hash algorithm is common to both sides."
    ),
    STATUS_SMB_BAD_CLUSTER_DIALECT: "The current cluster functional level does not support this SMB dialect.",
}

# What the redirector reports to a Win32 caller; where no mapping is documented, the nearest that a person understands.
_NTSTATUS_TO_WIN32: Final = {
    STATUS_SUCCESS: ERROR_SUCCESS,
    STATUS_TIMEOUT: ERROR_SEM_TIMEOUT,
    STATUS_PENDING: ERROR_IO_PENDING,
    STATUS_NOTIFY_CLEANUP: ERROR_NOTIFY_CLEANUP,
    STATUS_NOTIFY_ENUM_DIR: ERROR_NOTIFY_ENUM_DIR,
    STATUS_BUFFER_OVERFLOW: ERROR_MORE_DATA,
    STATUS_NO_MORE_FILES: ERROR_NO_MORE_FILES,
    STATUS_INVALID_EA_NAME: ERROR_INVALID_EA_NAME,
    STATUS_EA_LIST_INCONSISTENT: ERROR_EA_LIST_INCONSISTENT,
    STATUS_NO_MORE_ENTRIES: ERROR_NO_MORE_ITEMS,
    STATUS_UNSUCCESSFUL: ERROR_GEN_FAILURE,
    STATUS_NOT_IMPLEMENTED: ERROR_INVALID_FUNCTION,
    STATUS_INVALID_INFO_CLASS: ERROR_INVALID_PARAMETER,
    STATUS_INFO_LENGTH_MISMATCH: ERROR_BAD_LENGTH,
    STATUS_INVALID_HANDLE: ERROR_INVALID_HANDLE,
    STATUS_INVALID_PARAMETER: ERROR_INVALID_PARAMETER,
    STATUS_NO_SUCH_DEVICE: ERROR_FILE_NOT_FOUND,
    STATUS_NO_SUCH_FILE: ERROR_FILE_NOT_FOUND,
    STATUS_INVALID_DEVICE_REQUEST: ERROR_INVALID_FUNCTION,
    STATUS_END_OF_FILE: ERROR_HANDLE_EOF,
    STATUS_MORE_PROCESSING_REQUIRED: ERROR_MORE_DATA,
    STATUS_NO_MEMORY: ERROR_NOT_ENOUGH_MEMORY,
    STATUS_ACCESS_DENIED: ERROR_ACCESS_DENIED,
    STATUS_BUFFER_TOO_SMALL: ERROR_INSUFFICIENT_BUFFER,
    STATUS_OBJECT_TYPE_MISMATCH: ERROR_INVALID_HANDLE,
    STATUS_OBJECT_NAME_INVALID: ERROR_INVALID_NAME,
    STATUS_OBJECT_NAME_NOT_FOUND: ERROR_FILE_NOT_FOUND,
    STATUS_OBJECT_NAME_COLLISION: ERROR_ALREADY_EXISTS,
    STATUS_OBJECT_PATH_INVALID: ERROR_BAD_PATHNAME,
    STATUS_OBJECT_PATH_NOT_FOUND: ERROR_PATH_NOT_FOUND,
    STATUS_OBJECT_PATH_SYNTAX_BAD: ERROR_BAD_PATHNAME,
    STATUS_SHARING_VIOLATION: ERROR_SHARING_VIOLATION,
    STATUS_QUOTA_EXCEEDED: ERROR_NOT_ENOUGH_MEMORY,
    STATUS_EAS_NOT_SUPPORTED: ERROR_EAS_NOT_SUPPORTED,
    STATUS_EA_TOO_LARGE: ERROR_EA_LIST_INCONSISTENT,
    STATUS_NO_EAS_ON_FILE: ERROR_FILE_NOT_FOUND,
    STATUS_FILE_LOCK_CONFLICT: ERROR_LOCK_VIOLATION,
    STATUS_LOCK_NOT_GRANTED: ERROR_LOCK_VIOLATION,
    STATUS_DELETE_PENDING: ERROR_ACCESS_DENIED,
    STATUS_NO_LOGON_SERVERS: ERROR_NO_LOGON_SERVERS,
    STATUS_NO_SUCH_LOGON_SESSION: ERROR_NO_SUCH_LOGON_SESSION,
    STATUS_PRIVILEGE_NOT_HELD: ERROR_PRIVILEGE_NOT_HELD,
    STATUS_INVALID_ACCOUNT_NAME: ERROR_INVALID_ACCOUNT_NAME,
    STATUS_USER_EXISTS: ERROR_USER_EXISTS,
    STATUS_NO_SUCH_USER: ERROR_NO_SUCH_USER,
    STATUS_WRONG_PASSWORD: ERROR_INVALID_PASSWORD,
    STATUS_PASSWORD_RESTRICTION: ERROR_PASSWORD_RESTRICTION,
    STATUS_LOGON_FAILURE: ERROR_LOGON_FAILURE,
    STATUS_ACCOUNT_RESTRICTION: ERROR_ACCOUNT_RESTRICTION,
    STATUS_INVALID_LOGON_HOURS: ERROR_INVALID_LOGON_HOURS,
    STATUS_INVALID_WORKSTATION: ERROR_INVALID_WORKSTATION,
    STATUS_PASSWORD_EXPIRED: ERROR_PASSWORD_EXPIRED,
    STATUS_ACCOUNT_DISABLED: ERROR_ACCOUNT_DISABLED,
    STATUS_NONE_MAPPED: ERROR_NONE_MAPPED,
    STATUS_RANGE_NOT_LOCKED: ERROR_NOT_LOCKED,
    STATUS_DISK_FULL: ERROR_DISK_FULL,
    STATUS_INSUFFICIENT_RESOURCES: ERROR_NO_SYSTEM_RESOURCES,
    STATUS_MEDIA_WRITE_PROTECTED: ERROR_WRITE_PROTECT,
    STATUS_BAD_IMPERSONATION_LEVEL: ERROR_BAD_IMPERSONATION_LEVEL,
    STATUS_INSTANCE_NOT_AVAILABLE: ERROR_PIPE_BUSY,
    STATUS_PIPE_NOT_AVAILABLE: ERROR_PIPE_BUSY,
    STATUS_INVALID_PIPE_STATE: ERROR_BAD_PIPE,
    STATUS_PIPE_BUSY: ERROR_PIPE_BUSY,
    STATUS_PIPE_DISCONNECTED: ERROR_PIPE_NOT_CONNECTED,
    STATUS_PIPE_CLOSING: ERROR_NO_DATA,
    STATUS_PIPE_CONNECTED: ERROR_PIPE_CONNECTED,
    STATUS_PIPE_LISTENING: ERROR_PIPE_LISTENING,
    STATUS_INVALID_READ_MODE: ERROR_BAD_PIPE,
    STATUS_IO_TIMEOUT: ERROR_SEM_TIMEOUT,
    STATUS_FILE_IS_A_DIRECTORY: ERROR_ACCESS_DENIED,
    STATUS_NOT_SUPPORTED: ERROR_NOT_SUPPORTED,
    STATUS_DUPLICATE_NAME: ERROR_DUP_NAME,
    STATUS_BAD_NETWORK_PATH: ERROR_BAD_NETPATH,
    STATUS_NETWORK_BUSY: ERROR_NETWORK_BUSY,
    STATUS_INVALID_NETWORK_RESPONSE: ERROR_BAD_NET_RESP,
    STATUS_UNEXPECTED_NETWORK_ERROR: ERROR_UNEXP_NET_ERR,
    STATUS_NETWORK_NAME_DELETED: ERROR_NETNAME_DELETED,
    STATUS_NETWORK_ACCESS_DENIED: ERROR_NETWORK_ACCESS_DENIED,
    STATUS_BAD_DEVICE_TYPE: ERROR_BAD_DEV_TYPE,
    STATUS_BAD_NETWORK_NAME: ERROR_BAD_NET_NAME,
    STATUS_TOO_MANY_SESSIONS: ERROR_TOO_MANY_SESS,
    STATUS_SHARING_PAUSED: ERROR_SHARING_PAUSED,
    STATUS_REQUEST_NOT_ACCEPTED: ERROR_REQ_NOT_ACCEP,
    STATUS_NOT_SAME_DEVICE: ERROR_NOT_SAME_DEVICE,
    STATUS_PIPE_EMPTY: ERROR_NO_DATA,
    STATUS_NO_SUCH_DOMAIN: ERROR_NO_SUCH_DOMAIN,
    STATUS_OPLOCK_NOT_GRANTED: ERROR_OPLOCK_NOT_GRANTED,
    STATUS_INVALID_OPLOCK_PROTOCOL: ERROR_INVALID_OPLOCK_PROTOCOL,
    STATUS_INTERNAL_ERROR: ERROR_INTERNAL_ERROR,
    STATUS_DIRECTORY_NOT_EMPTY: ERROR_DIR_NOT_EMPTY,
    STATUS_NOT_A_DIRECTORY: ERROR_DIRECTORY,
    STATUS_NAME_TOO_LONG: ERROR_FILENAME_EXCED_RANGE,
    STATUS_FILES_OPEN: NERR_OpenFiles,
    STATUS_TOO_MANY_OPENED_FILES: ERROR_TOO_MANY_OPEN_FILES,
    STATUS_CANCELLED: ERROR_OPERATION_ABORTED,
    STATUS_CANNOT_DELETE: ERROR_ACCESS_DENIED,
    STATUS_FILE_DELETED: ERROR_ACCESS_DENIED,
    STATUS_FILE_CLOSED: ERROR_INVALID_HANDLE,
    STATUS_TIME_DIFFERENCE_AT_DC: ERROR_TIME_SKEW,
    STATUS_LOCAL_DISCONNECT: ERROR_NETNAME_DELETED,
    STATUS_REMOTE_DISCONNECT: ERROR_NETNAME_DELETED,
    STATUS_INVALID_LEVEL: ERROR_INVALID_LEVEL,
    STATUS_PIPE_BROKEN: ERROR_BROKEN_PIPE,
    STATUS_NO_SUCH_ALIAS: ERROR_NO_SUCH_ALIAS,
    STATUS_LOGON_TYPE_NOT_GRANTED: ERROR_LOGON_TYPE_NOT_GRANTED,
    STATUS_IO_DEVICE_ERROR: ERROR_IO_DEVICE,
    STATUS_NO_TRUST_SAM_ACCOUNT: ERROR_NO_TRUST_SAM_ACCOUNT,
    STATUS_TRUSTED_RELATIONSHIP_FAILURE: ERROR_TRUSTED_RELATIONSHIP_FAILURE,
    STATUS_NETLOGON_NOT_STARTED: ERROR_NETLOGON_NOT_STARTED,
    STATUS_ACCOUNT_EXPIRED: ERROR_ACCOUNT_EXPIRED,
    STATUS_NETWORK_CREDENTIAL_CONFLICT: ERROR_SESSION_CREDENTIAL_CONFLICT,
    STATUS_REMOTE_SESSION_LIMIT: ERROR_REMOTE_SESSION_LIMIT_EXCEEDED,
    STATUS_NOLOGON_WORKSTATION_TRUST_ACCOUNT: ERROR_NOLOGON_WORKSTATION_TRUST_ACCOUNT,
    STATUS_FS_DRIVER_REQUIRED: ERROR_NOT_SUPPORTED,
    STATUS_INVALID_LOCK_RANGE: ERROR_LOCK_VIOLATION,
    STATUS_USER_SESSION_DELETED: ERROR_UNEXP_NET_ERR,
    STATUS_INSUFF_SERVER_RESOURCES: ERROR_NOT_ENOUGH_SERVER_MEMORY,
    STATUS_CONNECTION_DISCONNECTED: ERROR_NETNAME_DELETED,
    STATUS_CONNECTION_RESET: ERROR_NETNAME_DELETED,
    STATUS_PASSWORD_MUST_CHANGE: ERROR_PASSWORD_MUST_CHANGE,
    STATUS_NOT_FOUND: ERROR_NOT_FOUND,
    STATUS_RETRY: ERROR_RETRY,
    STATUS_DOMAIN_CONTROLLER_NOT_FOUND: ERROR_DOMAIN_CONTROLLER_NOT_FOUND,
    STATUS_ACCOUNT_LOCKED_OUT: ERROR_ACCOUNT_LOCKED_OUT,
    STATUS_CONNECTION_REFUSED: ERROR_CONNECTION_REFUSED,
    STATUS_GRACEFUL_DISCONNECT: ERROR_GRACEFUL_DISCONNECT,
    STATUS_NETWORK_UNREACHABLE: ERROR_NETWORK_UNREACHABLE,
    STATUS_HOST_UNREACHABLE: ERROR_HOST_UNREACHABLE,
    STATUS_REQUEST_ABORTED: ERROR_REQUEST_ABORTED,
    STATUS_CONNECTION_ABORTED: ERROR_CONNECTION_ABORTED,
    STATUS_LOGIN_WKSTA_RESTRICTION: ERROR_LOGIN_WKSTA_RESTRICTION,
    STATUS_PATH_NOT_COVERED: ERROR_BAD_NET_NAME,
    STATUS_DFS_UNAVAILABLE: ERROR_BAD_NET_NAME,
    STATUS_VOLUME_DISMOUNTED: ERROR_NOT_READY,
    STATUS_NOT_A_REPARSE_POINT: ERROR_NOT_A_REPARSE_POINT,
    STATUS_MUTUAL_AUTHENTICATION_FAILED: ERROR_MUTUAL_AUTH_FAILED,
    STATUS_NETWORK_SESSION_EXPIRED: ERROR_UNEXP_NET_ERR,
    STATUS_DOWNGRADE_DETECTED: ERROR_DOWNGRADE_DETECTED,
    STATUS_NTLM_BLOCKED: ERROR_ACCESS_DENIED,
    STATUS_SERVER_UNAVAILABLE: ERROR_BAD_NETPATH,
    STATUS_FILE_NOT_AVAILABLE: ERROR_DEV_NOT_EXIST,
    STATUS_SHARE_UNAVAILABLE: ERROR_BAD_NET_NAME,
}

# A DCE/RPC fault as the caller of a Net* function sees it (MS-RPCE 2.2.2.8 and the RPC runtime's table).
_FAULT_TO_WIN32: Final = {
    nca_s_op_rng_error: RPC_S_PROCNUM_OUT_OF_RANGE,
    nca_s_unk_if: RPC_S_UNKNOWN_IF,
    nca_s_proto_error: RPC_S_PROTOCOL_ERROR,
    nca_s_fault_invalid_tag: RPC_S_INVALID_TAG,
    nca_s_fault_context_mismatch: ERROR_INVALID_HANDLE,
    nca_s_server_too_busy: RPC_S_SERVER_TOO_BUSY,
    nca_s_fault_unspec: RPC_S_CALL_FAILED,
}

# NET's own messages, 3500 to 5999 of netmsg.dll: those that this program says itself. %1 stands for the insertion.
_MESSAGES: Final = {
    3500: "The command completed successfully.",
    3501: "You used an invalid option.",
    3502: "System error %1 has occurred.",
    3503: "The command contains an invalid number of arguments.",
    3504: "The command completed with one or more errors.",
    3505: "You used an option with an invalid value.",
    3506: "The option %1 is unknown.",
    3507: "Option %1 is ambiguous.",
    3510: "A command was used with conflicting switches.",
    3513: "More data is available than can be returned by the operating system.",
    3514: "More help is available by typing NET HELPMSG %1.",
    3521: "The %1 service is not started.",
    3522: "The %1 service is starting.",
    3523: "The %1 service could not be started.",
    3524: "The %1 service was started successfully.",
    3526: "The workstation has open files.",
    3527: "The %1 service is stopping.",
    3528: "The %1 service could not be stopped.",
    3529: "The %1 service was stopped successfully.",
    3530: (
        "The following services are dependent on the %1 service. Stopping the %1 service will also stop these services."
    ),
    3536: "The %1 service was continued successfully.",
    3537: "The %1 service was paused successfully.",
    3538: "The %1 service failed to resume.",
    3539: "The %1 service failed to pause.",
    3660: "These workstations have sessions on this server:",
    3661: "These workstations have sessions with open files on this server:",
    3675: "The session from %1 has open files.",
    3683: "There are no entries in the list.",
    3688: "Users have open files on %1.  Continuing the operation will force the files closed.",
    3752: "No users have sessions with this server.",
    3756: "This is an invalid response.",
    3757: "No valid response was provided.",
    3805: "The Server service has not been started.",
    3870: "%1 is not a valid computer name.",
    3871: "%1 is not a valid Windows network message number.",
    3952: "You entered an invalid value for the %1 option.",
    3953: "The syntax is incorrect.",
    3960: "You specified an invalid file number.",
    4378: "The following running services can be controlled:",
    4379: "Statistics are available for the following running services:",
    4381: "The syntax of this command is:",
    4650: "%1 was deleted successfully.",
    4656: "%1 was shared successfully.",
}


def win32_text(code: int) -> str:
    """The system's text of a Win32 or NERR code; one that names the number where there is none."""
    text = _WIN32_TEXTS.get(code)
    return text if text is not None else f"Error {code} (0x{code:X}) has no text here."


def has_win32_text(code: int) -> bool:
    """Whether `win32_text` knows `code`."""
    return code in _WIN32_TEXTS


def win32_name(code: int) -> str:
    """The name of a Win32 or NERR code as its header spells it, or its decimal digits."""
    return _names().get(code, str(code))


def ntstatus_name(status: int) -> str:
    """The name of an NTSTATUS, or its eight hexadecimal digits."""
    return _status_names().get(status, f"0x{status:08X}")


def ntstatus_text(status: int) -> str:
    """The text of an NTSTATUS (MS-ERREF 2.3); one that names the number where there is none."""
    text = _NTSTATUS_TEXTS.get(status)
    return text if text is not None else f"Status 0x{status:08X} has no text here."


def has_ntstatus_text(status: int) -> bool:
    """Whether `ntstatus_text` knows `status`."""
    return status in _NTSTATUS_TEXTS


def ntstatus_to_win32(status: int) -> int:
    """The Win32 code that a caller of the Net* functions would see for `status`.

    An unknown status of severity "error" is ERROR_UNEXP_NET_ERR rather than success.
    """
    code = _NTSTATUS_TO_WIN32.get(status)
    if code is not None:
        return code
    # NTSTATUS_FROM_WIN32 (MS-ERREF 2.3.1): facility 7 wraps a Win32 code.
    if status & 0x0FFF0000 == 0x00070000:
        return status & 0xFFFF
    return ERROR_UNEXP_NET_ERR if status >> 30 else ERROR_SUCCESS


def fault_to_win32(status: int) -> int:
    """The Win32 code of a DCE/RPC fault: the runtime's translation of an NCA code, or the Win32 code it carries."""
    code = _FAULT_TO_WIN32.get(status)
    if code is not None:
        return code
    return status if 0 < status < 0x10000 else RPC_S_CALL_FAILED


def message_text(message_id: int, *insertions: object) -> str:
    """NET's own message `message_id` with its insertions; %1 stays where none is given. KeyError if unknown."""
    text = _MESSAGES[message_id]
    # From the last to the first, so that "%1" cannot eat the beginning of "%10".
    for number in range(len(insertions), 0, -1):
        text = text.replace(f"%{number}", str(insertions[number - 1]))
    return text


def has_message_text(message_id: int) -> bool:
    """Whether `message_text` knows `message_id`."""
    return message_id in _MESSAGES


_name_cache: dict[int, str] = {}
_status_name_cache: dict[int, str] = {}


def _names() -> dict[int, str]:
    # Names are wanted only when something goes wrong, so the constants are turned around on first use.
    if not _name_cache:
        prefixes = ("ERROR_", "NERR_", "RPC_S_", "RPC_X_", "EPT_S_")
        for name, value in globals().items():
            if name.startswith(prefixes):
                _name_cache.setdefault(value, name)
    return _name_cache


def _status_names() -> dict[int, str]:
    if not _status_name_cache:
        for name, value in globals().items():
            if name.startswith("STATUS_"):
                _status_name_cache.setdefault(value, name)
    return _status_name_cache
