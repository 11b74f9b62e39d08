"""One file a verb: ``run(request, ports) -> record``. A verb imports the core and nothing else; the world reaches it through the ports."""
