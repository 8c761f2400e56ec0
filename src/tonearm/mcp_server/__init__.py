"""Server of the Model Context Protocol (MCP): tools for language models, over a session's manifest.

manifest ─► Toolbox (schemas, checks, calls of the library) ─► server (protocol, stdio)
"""
