"""The ways in: magics, command line, MLflow's loader. Each turns words into a request and a record into what its reader sees."""
