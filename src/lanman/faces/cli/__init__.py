"""The command line: `lanman VERB ...`, in the NET dialect and in the GNU one."""
