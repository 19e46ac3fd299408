x = "</SCRIPT>";
